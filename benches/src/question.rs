//! Lists what is asked of every row, and what an answer consists of.

use crate::late::Late;
use crate::net::Exchange;
use crate::work::Work;

/// Something to find out about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// What an operation of a program takes.
    Work(Work),
    /// What a request of a client takes.
    Exchange(Exchange),
    /// How late things are.
    Late(Late),
    /// What a task that waits takes in memory.
    IdleMemory,
    /// What connections cost on which nothing happens.
    IdleConnections,
    /// How long it takes to start a runtime, run a task, and end it.
    StartStop,
    /// What a burst of tasks leaves behind in memory.
    Burst,
}

/// One number of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Its name in the files of samples.
    pub key: &'static str,
    /// What it is called above its column.
    pub head: &'static str,
    /// Which of two is better, if they are to be compared as a ratio.
    pub better: Option<Better>,
}

/// Which of two numbers is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// The smaller.
    Less,
    /// The larger.
    More,
}

const fn plain(key: &'static str, head: &'static str) -> Figure {
    Figure { key, head, better: None }
}

const fn less(key: &'static str, head: &'static str) -> Figure {
    Figure { key, head, better: Some(Better::Less) }
}

const fn more(key: &'static str, head: &'static str) -> Figure {
    Figure { key, head, better: Some(Better::More) }
}

impl Question {
    /// All of them, in the order of the tables.
    #[must_use]
    pub fn all() -> Vec<Question> {
        let works = Work::ALL.into_iter().map(Question::Work);
        let exchanges = Exchange::ALL.into_iter().map(Question::Exchange);
        let lates = Late::ALL.into_iter().map(Question::Late);
        let rest =
            [Question::IdleMemory, Question::IdleConnections, Question::StartStop, Question::Burst];
        works.chain(exchanges).chain(lates).chain(rest).collect()
    }

    /// Returns the name in tables and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Question::Work(work) => work.name(),
            Question::Exchange(exchange) => exchange.name(),
            Question::Late(late) => late.name(),
            Question::IdleMemory => "idle_memory",
            Question::IdleConnections => "idle_connections",
            Question::StartStop => "start_stop",
            Question::Burst => "burst",
        }
    }

    /// Finds the question of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Question> {
        Question::all().into_iter().find(|question| question.name() == name)
    }

    /// Returns the numbers of an answer. The first one decides.
    #[must_use]
    pub fn figures(self) -> &'static [Figure] {
        match self {
            Question::Work(_) => const { &[less("ns", "ns/op"), less("cpu_ns", "CPU ns/op")] },
            Question::Exchange(_) => {
                const {
                    &[
                        less("cpu_ns", "CPU ns/request"),
                        more("per_s", "requests/s"),
                        plain("p50_us", "p50 µs"),
                        plain("p99_us", "p99 µs"),
                    ]
                }
            }
            Question::Late(_) => {
                const {
                    &[
                        plain("p50_us", "p50 µs"),
                        plain("p99_us", "p99 µs"),
                        plain("p999_us", "p99.9 µs"),
                        plain("earliest_us", "earliest µs"),
                    ]
                }
            }
            Question::IdleMemory => const { &[less("bytes", "bytes/task")] },
            Question::IdleConnections => {
                const {
                    &[
                        plain("cpu_us_per_s", "CPU µs/s"),
                        less("bytes", "bytes/connection"),
                        plain("connections", "connections"),
                    ]
                }
            }
            Question::StartStop => {
                const {
                    &[
                        less("us", "whole µs"),
                        plain("start_us", "until the task is done µs"),
                        plain("stop_us", "end µs"),
                    ]
                }
            }
            Question::Burst => {
                const {
                    &[
                        plain("left_percent", "left, % of the peak"),
                        plain("before_kib", "before KiB"),
                        plain("peak_kib", "peak KiB"),
                        plain("after_kib", "after KiB"),
                        plain("resident_before_kib", "resident before KiB"),
                        plain("resident_peak_kib", "resident peak KiB"),
                        plain("resident_after_kib", "resident after, trimmed KiB"),
                    ]
                }
            }
        }
    }

    /// Returns with how many workers it is asked for the document, the first one first.
    #[must_use]
    pub fn workers(self) -> &'static [usize] {
        match self {
            Question::Work(_) | Question::Exchange(_) => &[2, 1, 8],
            // With one worker, a poll of 100 ms is the answer itself.
            _ => &[2],
        }
    }
}
