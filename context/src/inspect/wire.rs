//! Carries resources from one process to another: writes them as bytes, and reads them back.
//!
//! ```text
//! stream  = "forebear-inspect " version "\n" { frame }        in both directions
//! frame   = sort (1 byte)  length (4 bytes, little endian)  that many bytes
//! ```
//!
//! | sort | from | holds |
//! |---|---|---|
//! | `HELLO` | service | who it is: see [`Hello`] |
//! | `RESOURCES` | service | resources, one behind the other |
//! | `END` | service | nothing: the snapshot is complete |
//! | `ERROR` | service | a text: nothing more comes |
//! | `TRACE` | service | a part of a trace, as text |
//! | `DROPPED` | service | how many events of the trace were dropped |
//! | `SNAPSHOT` | client | one byte: whether it wants polls and times counted from now on |
//! | `RECORD` | client | for how many milliseconds it wants a trace |
//!
//! Numbers are written seven bits at a time, the lowest first. Texts that come again and again, such
//! as labels and files, are sent once per connection and then by number. Nothing that is read is
//! believed: not a length, not a number of a text, not that it is UTF-8.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use forebear_hooks::waits::Until;
use forebear_hooks::{AsyncId, Kind, LiveState, RuntimeId};

use crate::inspect::counts::Counts;
use crate::inspect::label::{Label, Site};
use crate::inspect::resource::{FlowRef, ResourceInfo, WaitsFor};

/// The version of the stream. Both sides say theirs first; it changes when what is here does.
pub const WIRE_VERSION: u32 = 1;

const GREETING: &str = "forebear-inspect ";

/// A greeting has at most so many bytes, whatever the version.
const GREETING_MAX_BYTES: usize = 64;

/// A frame has at most so many bytes. A chunk of resources is far smaller.
const FRAME_MAX_BYTES: usize = 4 * 1024 * 1024;

/// So many texts are sent by number; more than programs have labels and files.
const TEXTS_MAX: usize = 1 << 16;

/// A text has at most so many bytes.
const TEXT_MAX_BYTES: usize = 4096;

/// The name of a kind has at most so many: kinds are never freed.
const KIND_MAX_BYTES: usize = 64;

/// A resource waits for, or has the context of, at most so many things on the wire.
const LIST_MAX: usize = 1024;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table of the module says it")]
pub enum Sort {
    Hello,
    Resources,
    End,
    Error,
    Trace,
    Dropped,
    Snapshot,
    Record,
}

impl Sort {
    const ALL: [Sort; 8] = [
        Sort::Hello,
        Sort::Resources,
        Sort::End,
        Sort::Error,
        Sort::Trace,
        Sort::Dropped,
        Sort::Snapshot,
        Sort::Record,
    ];

    fn byte(self) -> u8 {
        self as u8 + 1
    }

    fn of(byte: u8) -> Option<Sort> {
        Sort::ALL.into_iter().find(|sort| sort.byte() == byte)
    }
}

/// What was read makes no sense: it is no stream of ours, or a broken one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WireError(&'static str);

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the stream is broken: {}", self.0)
    }
}

impl fmt::Debug for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for WireError {}

impl From<WireError> for io::Error {
    fn from(error: WireError) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

/// Says which version this side speaks.
///
/// # Errors
/// As `to.write` does.
pub fn write_greeting(to: &mut impl Write) -> io::Result<()> {
    to.write_all(format!("{GREETING}{WIRE_VERSION}\n").as_bytes())
}

/// Reads which version the other side speaks.
///
/// # Errors
/// As `from.read` does, and if it is no greeting.
pub fn read_greeting(from: &mut impl Read) -> io::Result<u32> {
    let mut line = Vec::new();
    // Byte by byte: what is behind the line is not to be touched.
    let mut byte = [0];
    while line.len() < GREETING_MAX_BYTES {
        from.read_exact(&mut byte)?;
        if byte[0] == b'\n' {
            let text = std::str::from_utf8(&line).ok();
            let version = text.and_then(|text| text.strip_prefix(GREETING)?.parse().ok());
            return version.ok_or_else(|| WireError("it does not begin with a greeting").into());
        }
        line.push(byte[0]);
    }
    Err(WireError("it does not begin with a greeting").into())
}

/// Writes a frame.
///
/// # Errors
/// As `to.write` does.
pub fn write_frame(to: &mut impl Write, sort: Sort, payload: &[u8]) -> io::Result<()> {
    let len = u32::try_from(payload.len()).map_err(io::Error::other)?;
    to.write_all(&[sort.byte()])?;
    to.write_all(&len.to_le_bytes())?;
    to.write_all(payload)
}

/// Reads a frame into `payload`, in place of what was there.
///
/// # Errors
/// As `from.read` does, and if it is no frame.
pub fn read_frame(from: &mut impl Read, payload: &mut Vec<u8>) -> io::Result<Sort> {
    let mut head = [0; 5];
    from.read_exact(&mut head)?;
    let [sort, len @ ..] = head;
    let sort = Sort::of(sort).ok_or(WireError("there is no such frame"))?;
    let len = u32::from_le_bytes(len) as usize;
    if len > FRAME_MAX_BYTES {
        return Err(WireError("a frame is too long").into());
    }
    payload.clear();
    // Not made as long as it says before that much has come.
    let read = from.take(len as u64).read_to_end(payload)?;
    if read < len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(sort)
}

/// Who a service is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hello {
    /// The number of its process.
    pub pid: u32,
    /// The name of its program.
    pub program: String,
    /// The version of forebear in it.
    pub version: String,
    /// How many resources are in its map.
    pub alive: u64,
    /// How many ancestors that are gone it remembers.
    pub remembered: u64,
    /// How many of them it has forgotten.
    pub forgotten: u64,
}

impl Hello {
    /// Writes it as the inside of a frame.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_number(&mut bytes, u64::from(self.pid));
        put_text(&mut bytes, &self.program);
        put_text(&mut bytes, &self.version);
        for number in [self.alive, self.remembered, self.forgotten] {
            put_number(&mut bytes, number);
        }
        bytes
    }

    /// Reads it.
    ///
    /// # Errors
    /// If it is none.
    pub fn of(bytes: &[u8]) -> Result<Hello, WireError> {
        let mut bytes = Bytes(bytes);
        Ok(Hello {
            pid: u32::try_from(bytes.number()?).map_err(|_| WireError("no process has this id"))?,
            program: bytes.text()?.to_owned(),
            version: bytes.text()?.to_owned(),
            alive: bytes.number()?,
            remembered: bytes.number()?,
            forgotten: bytes.number()?,
        })
    }
}

/// Writes one number as the inside of a frame.
#[must_use]
pub fn number_to_bytes(number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_number(&mut bytes, number);
    bytes
}

/// Reads one number.
///
/// # Errors
/// If it is none.
pub fn number_of(bytes: &[u8]) -> Result<u64, WireError> {
    Bytes(bytes).number()
}

fn put_number(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 & 0x7f | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn put_text(to: &mut Vec<u8>, text: &str) {
    let text = &text[..crate::fields::cut(text, TEXT_MAX_BYTES)];
    put_number(to, text.len() as u64);
    to.extend_from_slice(text.as_bytes());
}

fn put_time(to: &mut Vec<u8>, time: Duration) {
    put_number(to, u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
}

/// What is left to be read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn byte(&mut self) -> Result<u8, WireError> {
        let (first, rest) = self.0.split_first().ok_or(WireError("it ends too early"))?;
        self.0 = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Result<u64, WireError> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part {
                return Err(WireError("a number is too large"));
            }
            number |= part << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(WireError("a number is too large"))
    }

    fn small<T: TryFrom<u64>>(&mut self) -> Result<T, WireError> {
        T::try_from(self.number()?).map_err(|_| WireError("a number is too large"))
    }

    fn len(&mut self, max: usize) -> Result<usize, WireError> {
        let len = self.small()?;
        if len > max { Err(WireError("something is too long")) } else { Ok(len) }
    }

    fn text(&mut self) -> Result<&'a str, WireError> {
        let len = self.len(TEXT_MAX_BYTES)?;
        let (text, rest) = self.0.split_at_checked(len).ok_or(WireError("it ends too early"))?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| WireError("a text is not UTF-8"))
    }

    fn time(&mut self) -> Result<Duration, WireError> {
        self.number().map(Duration::from_nanos)
    }

    fn id(&mut self) -> Result<AsyncId, WireError> {
        AsyncId::from_u64(self.number()?).ok_or(WireError("an id is 0"))
    }

    fn when<T>(
        &mut self,
        is_there: bool,
        read: impl FnOnce(&mut Self) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        if is_there { read(self).map(Some) } else { Ok(None) }
    }
}

const HAS_TRIGGER: u64 = 1;
/// The creator is not the trigger, or one of them is not there.
const HAS_OTHER_CREATOR: u64 = 1 << 1;
const HAS_CREATOR: u64 = 1 << 2;
const HAS_LINK: u64 = 1 << 3;
const HAS_RUNTIME: u64 = 1 << 4;
const HAS_AGE: u64 = 1 << 5;
const HAS_WAKERS: u64 = 1 << 6;
const HAS_DUE: u64 = 1 << 7;
const HAS_FLOW: u64 = 1 << 8;
const HAS_FLOW_ENDED: u64 = 1 << 9;
const HAS_COUNTS: u64 = 1 << 10;
const HAS_WAITS: u64 = 1 << 11;
const HAS_CONTEXT: u64 = 1 << 12;
const STATE_SHIFT: u32 = 13;

/// How a text begins: what is above is the number of one that was sent before.
const TEXT_NEW: u64 = 0;
const TEXT_ONCE: u64 = 1;
const TEXT_KNOWN: u64 = 2;

/// Writes resources. It remembers which texts the other side knows.
#[derive(Debug, Default)]
pub struct Encoder {
    texts: HashMap<Arc<str>, u64>,
    /// Texts that are constants, by where they lie: looked up faster.
    constants: HashMap<(usize, usize), u64>,
}

impl Encoder {
    /// Makes one for a connection that has just begun.
    #[must_use]
    pub fn new() -> Encoder {
        Encoder::default()
    }

    /// Writes resources as the inside of a frame.
    #[must_use]
    pub fn resources(&mut self, resources: &[ResourceInfo]) -> Vec<u8> {
        let mut to = Vec::with_capacity(resources.len() * 48);
        let mut last = 0;
        for resource in resources {
            self.resource(&mut to, resource, last);
            last = resource.id.get();
        }
        to
    }

    fn text(&mut self, to: &mut Vec<u8>, text: &str, is_constant: bool) {
        let place = (text.as_ptr().addr(), text.len());
        let known = if is_constant { self.constants.get(&place) } else { None };
        if let Some(number) = known.or_else(|| self.texts.get(text)).copied() {
            if is_constant && known.is_none() {
                self.constants.insert(place, number);
            }
            return put_number(to, number + TEXT_KNOWN);
        }
        if self.texts.len() == TEXTS_MAX {
            put_number(to, TEXT_ONCE);
            return put_text(to, text);
        }
        let number = self.texts.len() as u64;
        self.texts.insert(text.into(), number);
        put_number(to, TEXT_NEW);
        put_text(to, text);
    }

    fn label(&mut self, to: &mut Vec<u8>, label: &Label) {
        self.text(to, label, label.is_constant());
    }

    fn resource(&mut self, to: &mut Vec<u8>, r: &ResourceInfo, last: u64) {
        let mut flags = 0;
        let mut flag = |is_there: bool, flag: u64| flags |= if is_there { flag } else { 0 };
        flag(r.trigger.is_some(), HAS_TRIGGER);
        flag(r.creator != r.trigger, HAS_OTHER_CREATOR);
        flag(r.creator.is_some(), HAS_CREATOR);
        flag(r.link.is_some(), HAS_LINK);
        flag(r.runtime.is_some(), HAS_RUNTIME);
        flag(r.age.is_some(), HAS_AGE);
        flag(r.wakers.is_some(), HAS_WAKERS);
        flag(r.due.is_some(), HAS_DUE);
        flag(r.flow.is_some(), HAS_FLOW);
        flag(r.flow.is_some_and(|flow| flow.ended.is_some()), HAS_FLOW_ENDED);
        flag(r.counts.is_some(), HAS_COUNTS);
        flag(!r.waits.is_empty(), HAS_WAITS);
        flag(!r.context.is_empty(), HAS_CONTEXT);
        let state = match r.state {
            None => 0,
            Some(LiveState::Idle) => 1,
            Some(LiveState::Queued) => 2,
            Some(LiveState::Running) => 3,
        };
        put_number(to, flags | state << STATE_SHIFT);
        // Neighbours have ids close by.
        let step = r.id.get().wrapping_sub(last);
        let is_back = step >> 63;
        put_number(to, step << 1 ^ is_back.wrapping_neg());
        self.text(to, r.kind.name(), true);
        self.label(to, &r.label);
        self.label(to, r.location.file());
        put_number(to, u64::from(r.location.line()));
        put_number(to, u64::from(r.location.column()));
        if let Some(trigger) = r.trigger {
            put_number(to, trigger.get());
        }
        if let Some(creator) = r.creator.filter(|_| r.creator != r.trigger) {
            put_number(to, creator.get());
        }
        if let Some(link) = r.link {
            put_number(to, link.get());
        }
        if let Some(runtime) = r.runtime {
            put_number(to, u64::from(runtime.get()));
        }
        if let Some(age) = r.age {
            put_time(to, age);
        }
        if let Some(wakers) = r.wakers {
            put_number(to, u64::from(wakers));
        }
        if let Some(due) = r.due {
            put_time(to, due);
        }
        if let Some(flow) = r.flow {
            put_number(to, flow.id.get());
            if let Some(ended) = flow.ended {
                put_time(to, ended);
            }
        }
        if let Some(counts) = &r.counts {
            put_counts(to, counts);
        }
        if !r.waits.is_empty() {
            put_waits(to, &r.waits);
        }
        if !r.context.is_empty() {
            let shown = &r.context[..r.context.len().min(LIST_MAX)];
            put_number(to, shown.len() as u64);
            for (key, value) in shown {
                self.label(to, key);
                put_text(to, value);
            }
        }
    }
}

fn put_counts(to: &mut Vec<u8>, counts: &Counts) {
    for number in [counts.polls, counts.wakes, counts.self_wakes] {
        put_number(to, number);
    }
    for time in [counts.busy, counts.longest_poll, counts.delay, counts.longest_delay] {
        put_time(to, time);
    }
    put_number(to, counts.woken_by.map_or(0, AsyncId::get));
    let ago = counts.last_poll.map_or(0, |ago| ago.as_nanos().saturating_add(1));
    put_number(to, u64::try_from(ago).unwrap_or(u64::MAX));
}

fn put_waits(to: &mut Vec<u8>, waits: &[WaitsFor]) {
    let shown = &waits[..waits.len().min(LIST_MAX)];
    put_number(to, shown.len() as u64);
    for WaitsFor { on, until } in shown {
        put_number(to, on.get());
        let (sort, due) = match until {
            Until::Ended => (0, None),
            Until::Readable => (1, None),
            Until::Writable => (2, None),
            Until::Ready => (3, None),
            Until::Due(due) => (4, Some(*due)),
        };
        to.push(sort);
        if let Some(due) = due {
            put_time(to, due);
        }
    }
}

/// Reads resources. It remembers the texts that came before.
#[derive(Debug, Default)]
pub struct Decoder {
    texts: Vec<Label>,
    kinds: HashMap<u64, Kind>,
}

impl Decoder {
    /// Makes one for a connection that has just begun.
    #[must_use]
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// Reads the resources of a frame.
    ///
    /// # Errors
    /// If they make no sense.
    pub fn resources(&mut self, bytes: &[u8]) -> Result<Vec<ResourceInfo>, WireError> {
        let mut bytes = Bytes(bytes);
        let mut resources = Vec::new();
        let mut last = 0;
        while !bytes.0.is_empty() {
            let resource = self.resource(&mut bytes, last)?;
            last = resource.id.get();
            resources.push(resource);
        }
        Ok(resources)
    }

    fn text(&mut self, bytes: &mut Bytes<'_>) -> Result<Label, WireError> {
        match bytes.number()? {
            TEXT_ONCE => bytes.text().map(Label::from),
            TEXT_NEW if self.texts.len() == TEXTS_MAX => Err(WireError("there are too many texts")),
            TEXT_NEW => {
                let text = Label::from(bytes.text()?);
                self.texts.push(text.clone());
                Ok(text)
            }
            known => {
                let known = usize::try_from(known - TEXT_KNOWN).ok();
                let text = known.and_then(|known| self.texts.get(known));
                text.cloned().ok_or(WireError("a text was not sent"))
            }
        }
    }

    /// Reads a kind: looked up once per name, since that takes a lock.
    fn kind(&mut self, bytes: &mut Bytes<'_>) -> Result<Kind, WireError> {
        let number = Bytes(bytes.0).number()?;
        let text = self.text(bytes)?;
        if let Some(kind) = self.kinds.get(&number).filter(|_| number >= TEXT_KNOWN) {
            return Ok(*kind);
        }
        let kind = Kind::new(&text[..crate::fields::cut(&text, KIND_MAX_BYTES)]);
        if number >= TEXT_KNOWN {
            self.kinds.insert(number, kind);
        }
        Ok(kind)
    }

    fn resource(&mut self, bytes: &mut Bytes<'_>, last: u64) -> Result<ResourceInfo, WireError> {
        let flags = bytes.number()?;
        let has = |flag: u64| flags & flag != 0;
        let state = match flags >> STATE_SHIFT {
            0 => None,
            1 => Some(LiveState::Idle),
            2 => Some(LiveState::Queued),
            3 => Some(LiveState::Running),
            _ => return Err(WireError("something is unknown")),
        };
        let step = bytes.number()?;
        let step = step >> 1 ^ (step & 1).wrapping_neg();
        let id = AsyncId::from_u64(last.wrapping_add(step)).ok_or(WireError("an id is 0"))?;
        let kind = self.kind(bytes)?;
        let label = self.text(bytes)?;
        let site = Site::new(self.text(bytes)?, bytes.small()?, bytes.small()?);
        let mut r = ResourceInfo::new(id, kind, label, site);
        r.state = state;
        r.trigger = bytes.when(has(HAS_TRIGGER), Bytes::id)?;
        r.creator = match (has(HAS_OTHER_CREATOR), has(HAS_CREATOR)) {
            (true, is_there) => bytes.when(is_there, Bytes::id)?,
            (false, _) => r.trigger,
        };
        r.link = bytes.when(has(HAS_LINK), Bytes::id)?;
        let runtime = bytes.when(has(HAS_RUNTIME), Bytes::small::<u32>)?;
        r.runtime = runtime.and_then(RuntimeId::from_u32);
        r.age = bytes.when(has(HAS_AGE), Bytes::time)?;
        r.wakers = bytes.when(has(HAS_WAKERS), Bytes::small::<u32>)?;
        r.due = bytes.when(has(HAS_DUE), Bytes::time)?;
        let flow = bytes.when(has(HAS_FLOW), Bytes::id)?;
        let ended = bytes.when(has(HAS_FLOW) && has(HAS_FLOW_ENDED), Bytes::time)?;
        r.flow = flow.map(|id| FlowRef { id, ended });
        r.counts = bytes.when(has(HAS_COUNTS), counts)?.map(Box::new);
        r.waits = bytes.when(has(HAS_WAITS), waits)?.unwrap_or_default();
        if has(HAS_CONTEXT) {
            let len = bytes.len(LIST_MAX)?;
            let mut context = Vec::new();
            for _ in 0..len {
                context.push((self.text(bytes)?, bytes.text()?.to_owned()));
            }
            r.context = context.into();
        }
        Ok(r)
    }
}

fn counts(bytes: &mut Bytes<'_>) -> Result<Counts, WireError> {
    Ok(Counts {
        polls: bytes.number()?,
        wakes: bytes.number()?,
        self_wakes: bytes.number()?,
        busy: bytes.time()?,
        longest_poll: bytes.time()?,
        delay: bytes.time()?,
        longest_delay: bytes.time()?,
        woken_by: AsyncId::from_u64(bytes.number()?),
        last_poll: bytes.number()?.checked_sub(1).map(Duration::from_nanos),
    })
}

fn waits(bytes: &mut Bytes<'_>) -> Result<Box<[WaitsFor]>, WireError> {
    let mut all = Vec::new();
    for _ in 0..bytes.len(LIST_MAX)? {
        let on = bytes.id()?;
        let until = match bytes.byte()? {
            0 => Until::Ended,
            1 => Until::Readable,
            2 => Until::Writable,
            3 => Until::Ready,
            4 => Until::Due(bytes.time()?),
            _ => return Err(WireError("something is unknown")),
        };
        all.push(WaitsFor { on, until });
    }
    Ok(all.into())
}

#[cfg(test)]
mod tests {
    use super::{
        Decoder, Encoder, Hello, Sort, WIRE_VERSION, number_of, number_to_bytes, read_frame,
        read_greeting, write_frame, write_greeting,
    };
    use crate::inspect::counts::Counts;
    use crate::inspect::label::{Label, Site};
    use crate::inspect::resource::{FlowRef, ResourceInfo, WaitsFor};
    use forebear_hooks::waits::Until;
    use forebear_hooks::{AsyncId, Kind, LiveState, RuntimeId};
    use proptest::prelude::{Strategy, any, prop, prop_assert_eq, proptest};
    use std::time::Duration;

    fn times() -> impl Strategy<Value = Duration> {
        any::<u64>().prop_map(Duration::from_nanos)
    }

    fn ids() -> impl Strategy<Value = AsyncId> {
        any::<u64>().prop_filter_map("an id is not 0", AsyncId::from_u64)
    }

    fn counts() -> impl Strategy<Value = Counts> {
        let numbers = any::<(u64, u64, u64)>();
        (numbers, times(), times(), prop::option::of(ids()), prop::option::of(0..u64::MAX))
            .prop_map(|((polls, wakes, self_wakes), busy, delay, woken_by, last)| Counts {
                polls,
                wakes,
                self_wakes,
                busy,
                delay,
                woken_by,
                last_poll: last.map(Duration::from_nanos),
                longest_poll: busy,
                longest_delay: delay,
            })
    }

    fn waits() -> impl Strategy<Value = WaitsFor> {
        let until = (0..5, times()).prop_map(|(sort, due)| match sort {
            0 => Until::Ended,
            1 => Until::Readable,
            2 => Until::Writable,
            3 => Until::Ready,
            _ => Until::Due(due),
        });
        (ids(), until).prop_map(|(on, until)| WaitsFor { on, until })
    }

    fn resources() -> impl Strategy<Value = ResourceInfo> {
        let kinds = prop::sample::select(vec![Kind::TASK, Kind::TIMER, Kind::new("WIRE_TEST")]);
        let site = ("[a-c]{0,3}\\.rs", any::<u32>(), any::<u32>());
        let named = (ids(), kinds, "[a-cé]{0,4}", site);
        let related = prop::array::uniform3(prop::option::of(ids()));
        let states = vec![LiveState::Idle, LiveState::Queued, LiveState::Running];
        let state = (
            prop::option::of(prop::sample::select(states)),
            prop::option::of(any::<u32>()),
            prop::option::of(times()),
            prop::option::of(times()),
            any::<u32>(),
        );
        let flow = prop::option::of((ids(), prop::option::of(times())));
        let lists = (
            prop::option::of(counts()),
            prop::collection::vec(waits(), 0..4),
            prop::collection::vec(("[k-m]{0,2}", ".{0,8}"), 0..4),
        );
        (named, related, state, flow, lists).prop_map(
            |((id, kind, label, (file, line, column)), related, state, flow, lists)| {
                let mut r = ResourceInfo::new(id, kind, label, Site::new(file, line, column));
                [r.trigger, r.creator, r.link] = related;
                let runtime;
                (r.state, r.wakers, r.age, r.due, runtime) = state;
                r.runtime = RuntimeId::from_u32(runtime);
                r.flow = flow.map(|(id, ended)| FlowRef { id, ended });
                let (counts, waits, context) = lists;
                r.counts = counts.map(Box::new);
                r.waits = waits.into();
                r.context = context.into_iter().map(|(k, v)| (Label::from(k), v)).collect();
                r
            },
        )
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            first in prop::collection::vec(resources(), 0..8),
            second in prop::collection::vec(resources(), 0..8),
        ) {
            let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
            for sent in [first, second] {
                let read = decoder.resources(&encoder.resources(&sent)).unwrap();
                prop_assert_eq!(format!("{:?}", read), format!("{:?}", sent));
            }
        }

        #[test]
        fn bytes_of_any_sort_are_read_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut decoder = Decoder::new();
            let _ = decoder.resources(&bytes);
            let _ = decoder.resources(&bytes);
            let _ = (Hello::of(&bytes), number_of(&bytes));
            let _ = read_frame(&mut &bytes[..], &mut Vec::new());
            let _ = read_greeting(&mut &bytes[..]);
        }

        #[test]
        fn a_stream_that_was_damaged_is_read_or_refused(
            sent in prop::collection::vec(resources(), 1..5),
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut bytes = Encoder::new().resources(&sent);
            let place = place.index(bytes.len());
            bytes[place] = byte;
            let _ = Decoder::new().resources(&bytes);
            let _ = Decoder::new().resources(&bytes[..place]);
        }

        #[test]
        fn numbers_are_read_back(number in any::<u64>()) {
            prop_assert_eq!(number_of(&number_to_bytes(number)).unwrap(), number);
        }
    }

    #[test]
    fn a_text_that_comes_again_is_sent_once() {
        let id = AsyncId::from_u64(1).unwrap();
        let one = ResourceInfo::new(id, Kind::TASK, "a label", Site::new("src/main.rs", 1, 1));
        let mut encoder = Encoder::new();
        let (first, second) =
            (encoder.resources(std::slice::from_ref(&one)), encoder.resources(&[one]));
        assert!(first.len() > 25 && second.len() < 15, "{} and {}", first.len(), second.len());
    }

    #[test]
    fn frames_and_greetings_come_through() {
        let hello = Hello { pid: 7, program: "orders".into(), alive: 300, ..Hello::default() };
        let mut stream = Vec::new();
        write_greeting(&mut stream).unwrap();
        write_frame(&mut stream, Sort::Hello, &hello.to_bytes()).unwrap();
        write_frame(&mut stream, Sort::End, &[]).unwrap();
        let (mut from, mut payload) = (&stream[..], Vec::new());
        assert_eq!(read_greeting(&mut from).unwrap(), WIRE_VERSION);
        assert_eq!(read_frame(&mut from, &mut payload).unwrap(), Sort::Hello);
        assert_eq!(Hello::of(&payload).unwrap(), hello);
        assert_eq!(read_frame(&mut from, &mut payload).unwrap(), Sort::End);
        assert!(payload.is_empty() && from.is_empty());
        // Nothing is allocated for what only says that it is long.
        let long = [Sort::Error.byte(), 0xff, 0xff, 0x3f, 0];
        assert!(read_frame(&mut &long[..], &mut payload).is_err());
        assert!(payload.capacity() < 1 << 20);
    }

    #[test]
    fn another_protocol_is_told_from_another_version() {
        assert_eq!(read_greeting(&mut &b"forebear-inspect 7\nrest"[..]).unwrap(), 7);
        assert!(read_greeting(&mut &b"HTTP/1.1 400 Bad Request\r\n"[..]).is_err());
        assert!(read_greeting(&mut &[b'x'; 1000][..]).is_err());
    }
}
