//! Asks how long it takes to start a runtime, run one task on it, and end it.

use criterion::Criterion;
use forebear_benches::{Row, WORKERS, Work};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("start_stop");
    for row in Row::ALL {
        group.bench_function(row.name(), |bencher| {
            bencher.iter(|| row.start(WORKERS).run(Work::SpawnRemote, 1));
        });
    }
    group.finish();
    criterion.final_summary();
}
