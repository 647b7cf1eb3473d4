//! Sums up what its caller sends: a library that says `tokio`, and is linked with forebear.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Begins to sum up.
#[must_use]
pub fn sum() -> (mpsc::Sender<u32>, JoinHandle<u32>) {
    let (sender, mut numbers) = mpsc::channel(4);
    let sum = tokio::spawn(async move {
        let mut sum = 0;
        while let Some(number) = numbers.recv().await {
            sum += number;
        }
        sum
    });
    (sender, sum)
}

/// The page about migrating: what its blocks of code name must be there.
#[doc = include_str!("../../../docs/MIGRATING-FROM-TOKIO.md")]
#[cfg(doctest)]
pub struct Migrating;
