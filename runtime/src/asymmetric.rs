//! A fence that costs one side next to nothing, and the other a system call.
//!
//! Each of two threads writes something and then reads what the other writes; at least one must see
//! what the other wrote. That takes a sequentially consistent fence on either side, which is as dear
//! as a read-modify-write. Where one side is taken a million times as often as the other, Linux can
//! do it for both: [`heavy`] does not return before every thread of the process has passed a fence,
//! or is at a place where it need not (membarrier(2)). Then [`light`] only has to keep the compiler
//! from changing the order.
//!
//! Where there is no such call, or it is refused, and in a model, both are the fence.

use std::sync::atomic::{AtomicBool, Ordering, compiler_fence};

use crate::primitive::fence;

/// Whether `light` has to be a fence. Relaxed: it is written before the first task is spawned. On
/// std's atomics even under loom, which has no static ones.
static IS_REFUSED: AtomicBool = AtomicBool::new(cfg!(any(loom, not(target_os = "linux"))));

/// To be called before anything is spawned.
pub(crate) fn prepare() {
    #[cfg(target_os = "linux")]
    if command(rustix::thread::MembarrierCommand::RegisterPrivateExpedited).is_err() {
        IS_REFUSED.store(true, Ordering::Relaxed);
    }
}

/// The side that is taken often.
#[inline]
pub(crate) fn light() {
    if IS_REFUSED.load(Ordering::Relaxed) {
        fence(Ordering::SeqCst);
    } else {
        compiler_fence(Ordering::SeqCst);
    }
}

/// The side that is taken seldom.
pub(crate) fn heavy() {
    fence(Ordering::SeqCst);
    #[cfg(target_os = "linux")]
    if !IS_REFUSED.load(Ordering::Relaxed) {
        if let Err(error) = command(rustix::thread::MembarrierCommand::PrivateExpedited) {
            unreachable!("the system had granted it: {error}");
        }
    }
}

#[cfg(target_os = "linux")]
fn command(command: rustix::thread::MembarrierCommand) -> rustix::io::Result<()> {
    rustix::thread::membarrier(command)
}
