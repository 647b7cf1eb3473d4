//! Decides what is asked, with how many workers, and in which order.

use crate::question::Question;

/// With how many workers everything is asked unless something else is said.
pub const WORKERS: usize = 2;

/// What was said about the number of workers.
#[derive(Clone, Copy, Debug)]
pub enum Workers<'a> {
    /// Nothing.
    Usual,
    /// Each number that the document shows for a question, or those of them that were named.
    InDocument(Option<&'a [usize]>),
    /// These, for every question.
    These(&'a [usize]),
}

impl Workers<'_> {
    fn of(self, question: Question) -> Vec<usize> {
        match self {
            Workers::Usual => vec![WORKERS],
            Workers::InDocument(named) => {
                let shown = question.workers().iter().copied();
                shown.filter(|number| named.is_none_or(|named| named.contains(number))).collect()
            }
            Workers::These(workers) => workers.to_vec(),
        }
    }
}

/// Lists what is to be asked. All that one number of workers is asked stands together, as in the
/// tables; what `is_done` is left out.
#[must_use]
pub fn plan(
    questions: &[Question],
    workers: Workers<'_>,
    is_done: impl Fn(usize, Question) -> bool,
) -> Vec<(usize, Question)> {
    let mut numbers: Vec<usize> = Vec::new();
    for number in questions.iter().flat_map(|question| workers.of(*question)) {
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    let pairs = numbers
        .into_iter()
        .flat_map(|number| questions.iter().map(move |question| (number, *question)));
    let is_wanted = |(number, question): &(usize, Question)| {
        workers.of(*question).contains(number) && !is_done(*number, *question)
    };
    pairs.filter(is_wanted).collect()
}

#[cfg(test)]
mod tests {
    use super::{Workers, plan};
    use crate::question::Question;
    use crate::work::Work;

    const MPSC: Question = Question::Work(Work::Mpsc);
    const BURST: Question = Question::Burst;

    fn check(workers: Workers<'_>, done: &[(usize, Question)], want: &[(usize, Question)]) {
        let is_done = |workers, question| done.contains(&(workers, question));
        assert_eq!(plan(&[MPSC, BURST], workers, is_done), want, "{workers:?} {done:?}");
    }

    #[test]
    fn each_question_is_asked_with_its_numbers_of_workers() {
        check(Workers::Usual, &[], &[(2, MPSC), (2, BURST)]);
        let all = Workers::InDocument(None);
        check(all, &[], &[(2, MPSC), (2, BURST), (1, MPSC), (8, MPSC)]);
        check(Workers::InDocument(Some(&[1, 4])), &[], &[(1, MPSC)]);
        let these = Workers::These(&[4, 1]);
        check(these, &[], &[(4, MPSC), (4, BURST), (1, MPSC), (1, BURST)]);
    }

    #[test]
    fn what_is_done_is_not_asked_again() {
        let done = &[(2, MPSC), (8, MPSC), (8, BURST)];
        check(Workers::InDocument(None), done, &[(2, BURST), (1, MPSC)]);
        check(Workers::Usual, &[(2, MPSC), (2, BURST)], &[]);
    }
}
