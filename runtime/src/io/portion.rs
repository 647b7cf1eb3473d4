//! Carries bytes between a program and a job of the blocking pool: one cannot lend the other memory.

use std::io::{self, IoSlice, Read, Write};

use tokio::io::ReadBuf;

/// So many bytes at most travel at once, unless a file is told otherwise.
pub(crate) const PORTION_MAX_BYTES: usize = 2 * 1024 * 1024;

/// Bytes on their way, in memory that is used again for the next ones.
#[derive(Debug, Default)]
pub(crate) struct Portion {
    /// Those that are on their way, between others that were.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Portion {
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads from a source, once.
    pub(crate) fn read_from(&mut self, source: &mut impl Read, most: usize) -> io::Result<()> {
        self.clear();
        if self.bytes.len() < most {
            // Not by growing it: fresh memory of the system holds zeroes already.
            self.bytes = vec![0; most];
        }
        self.end = uninterrupted(|| source.read(&mut self.bytes[..most]))?;
        Ok(())
    }

    /// Takes over as much as it may from what somebody wants to write.
    pub(crate) fn fill_from(&mut self, slices: &[IoSlice<'_>], most: usize) -> usize {
        self.clear();
        for slice in slices {
            let part = &slice[..slice.len().min(most - self.end)];
            let (over, beyond) = part.split_at(part.len().min(self.bytes.len() - self.end));
            self.bytes[self.end..self.end + over.len()].copy_from_slice(over);
            self.bytes.extend_from_slice(beyond);
            self.end += part.len();
        }
        self.end
    }

    /// Gives as much as there is room for to somebody who reads.
    pub(crate) fn give_to(&mut self, reader: &mut ReadBuf<'_>) {
        let count = self.len().min(reader.remaining());
        reader.put_slice(&self.bytes[self.start..self.start + count]);
        self.start += count;
    }

    /// Writes all of it, or what can be.
    pub(crate) fn write_to(&mut self, sink: &mut impl Write) -> io::Result<()> {
        let written = sink.write_all(&self.bytes[self.start..self.end]);
        self.clear();
        written
    }

    /// Forgets what it holds.
    pub(crate) fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }
}

/// Tries once more if a signal came in between.
fn uninterrupted<R>(mut operation: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Portion, uninterrupted};
    use std::io::{self, IoSlice};
    use tokio::io::ReadBuf;

    fn given(portion: &mut Portion, room: usize) -> Vec<u8> {
        let mut room = vec![0; room];
        let mut room = ReadBuf::new(&mut room);
        portion.give_to(&mut room);
        room.filled().to_vec()
    }

    #[test]
    fn what_is_read_is_given_in_parts() {
        let mut portion = Portion::default();
        portion.read_from(&mut &b"a portion"[..], 4).unwrap();
        assert_eq!((portion.len(), given(&mut portion, 3)), (4, b"a p".to_vec()));
        assert_eq!((given(&mut portion, 3), portion.is_empty()), (b"o".to_vec(), true));
        portion.read_from(&mut &b"a longer portion"[..], 100).unwrap();
        assert_eq!(given(&mut portion, 100), b"a longer portion");
        portion.read_from(&mut &b""[..], 8).unwrap();
        assert!(portion.is_empty());
    }

    #[test]
    fn what_is_taken_over_is_written() {
        let mut portion = Portion::default();
        let mut written = Vec::new();
        for (slices, most, want) in [
            (&["one ", "two ", "three"][..], 6, "one tw"),
            (&["", "longer than before"][..], 100, "longer than before"),
            (&["ab", "cd"][..], 100, "abcd"),
            (&[][..], 100, ""),
        ] {
            let slices: Vec<_> = slices.iter().map(|text| IoSlice::new(text.as_bytes())).collect();
            assert_eq!(portion.fill_from(&slices, most), want.len());
            portion.write_to(&mut written).unwrap();
            assert_eq!(std::mem::take(&mut written), want.as_bytes());
            assert!(portion.is_empty());
        }
        portion.fill_from(&[IoSlice::new(b"too long")], 100);
        assert!(portion.write_to(&mut &mut [0_u8; 2][..]).is_err());
        assert!(portion.is_empty());
    }

    #[test]
    fn a_signal_is_no_error() {
        let mut signals = 2;
        let answer = uninterrupted(|| {
            signals -= 1;
            if signals == 0 { Ok(7) } else { Err(io::ErrorKind::Interrupted.into()) }
        });
        assert_eq!(answer.unwrap(), 7);
    }
}
