//! Shows a program to criterion, once per row.
//!
//! Criterion runs the rows one after the other, so that the machine's mood changes between them:
//! it answers whether one row became slower than it was. To compare rows, use `ratios`.

use std::time::Duration;

use criterion::Criterion;

use crate::plan::WORKERS;
use crate::rows::Row;
use crate::work::Work;

/// The smallest number of operations that shows the program and not its beginning and end.
const OPERATIONS: u64 = 1000;

/// Measures one operation of each program on every row. The whole of a bench's `main`.
pub fn bench(works: &[Work]) {
    let mut criterion = Criterion::default().configure_from_args();
    for work in works {
        bench_one(&mut criterion, *work);
    }
    criterion.final_summary();
}

fn bench_one(criterion: &mut Criterion, work: Work) {
    let mut group = criterion.benchmark_group(work.name());
    group.sample_size(20);
    group.warm_up_time(Duration::from_secs(1));
    group.measurement_time(Duration::from_secs(3));
    for row in Row::ALL {
        let stage = row.start(WORKERS);
        group.bench_function(row.name(), |bencher| {
            bencher.iter_custom(|operations| {
                let (done, took) =
                    stage.run(work, operations.max(work.operations().min(OPERATIONS)));
                scale(took.time, operations, done)
            });
        });
    }
    group.finish();
}

/// What `wanted` operations would have taken, when `done` took `time`.
fn scale(time: Duration, wanted: u64, done: u64) -> Duration {
    let ns = time.as_nanos() * u128::from(wanted) / u128::from(done);
    Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
}
