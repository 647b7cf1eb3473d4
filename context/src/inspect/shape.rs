//! Says which resources look the same, with all that is below them: those that the same lines of code
//! made, for the same reason.
//!
//! A shape is a number of 64 bits, made of kind, label and place of a resource, and of the shapes of
//! what is below it: which there are, not how many. What tells two requests apart, such as ids,
//! times and context, does not count.

use crate::inspect::graph::Graph;
use crate::inspect::resource::ResourceInfo;

/// 2^64 divided by the golden ratio (Knuth, The Art of Computer Programming, 6.4).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(shape: u64, more: u64) -> u64 {
    let mixed = (shape ^ more).wrapping_mul(GOLDEN);
    mixed ^ mixed >> 29
}

fn mix_text(mut shape: u64, text: &str) -> u64 {
    let mut chunks = text.as_bytes().chunks_exact(8);
    for chunk in &mut chunks {
        shape = mix(shape, chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
    }
    let rest = chunks.remainder().iter().fold(1, |word, byte| word << 8 | u64::from(*byte));
    mix(shape, rest)
}

/// Returns the looks of a resource alone.
pub(super) fn of_one(r: &ResourceInfo) -> u64 {
    let flags =
        u64::from(r.is_gone()) | u64::from(r.never_wakes()) << 1 | u64::from(r.link.is_some()) << 2;
    let shape = mix_text(mix(flags, GOLDEN), r.kind.name());
    let shape = mix_text(mix_text(shape, &r.label), r.location.file());
    mix(shape, u64::from(r.location.line()) << 32 | u64::from(r.location.column()))
}

/// Returns the shape of each resource. `mark` says what else tells resources apart.
pub(super) fn of_all(
    resources: &[ResourceInfo],
    graph: &Graph,
    mark: impl Fn(usize) -> u64,
) -> Vec<u64> {
    let mut shapes = vec![0; resources.len()];
    let mut below = Vec::new();
    // From the bottom. What closes a circle has no shape yet, which is a shape, too.
    for place in graph.top_down().iter().rev().map(|place| *place as usize) {
        below.clear();
        below.extend(graph.below(place).iter().map(|place| shapes[*place as usize]));
        below.sort_unstable();
        below.dedup();
        let one = mix(of_one(&resources[place]), mark(place));
        shapes[place] = below.iter().fold(one, |shape, below| mix(shape, *below));
    }
    shapes
}
