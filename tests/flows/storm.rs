//! Begins many flows at once, and checks that each sees itself.

use std::sync::Arc;

use forebear::sync::Barrier;
use forebear::{AsyncLocal, Inherit, fields, flow, flow_id};
use forebear_hooks::AsyncId;

/// So many flows go on at once.
pub(crate) const FLOWS: u32 = 10_000;

/// The number of a flow. The rest of it tells whether all that was made is gone.
#[derive(Clone)]
pub(crate) struct Number(pub(crate) u32, #[allow(dead_code, reason = "it is counted")] Arc<()>);

pub(crate) static NUMBER: AsyncLocal<Number> = AsyncLocal::named("number");
pub(crate) static OWN: AsyncLocal<u32> = AsyncLocal::named("own").inherit(Inherit::SameTask);

/// What a flow knows of itself, to compare with what it sees.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Me {
    pub(crate) number: u32,
    flow: AsyncId,
}

impl Me {
    /// Checks that this is code of the flow, whichever task and thread runs it.
    #[track_caller]
    pub(crate) fn check(self) {
        assert_eq!(NUMBER.with(|seen| seen.map(|seen| seen.0)), Some(self.number));
        assert_eq!(fields::get("number"), Some(self.number.into()));
        assert_eq!(flow_id(), Some(self.flow));
    }

    /// As [`check`](Me::check), in the flow's own task.
    #[track_caller]
    pub(crate) fn check_own(self) {
        self.check();
        assert_eq!(OWN.get(), Some(self.number));
    }
}

/// Checks that this is code of no flow.
#[track_caller]
pub(crate) fn check_nobody() {
    assert!(NUMBER.with(|seen| seen.is_none()));
    assert_eq!((fields::collect(), flow_id(), OWN.get()), (Vec::new(), None, None));
}

/// Checks the context when it is dropped.
pub(crate) struct CheckOnDrop(pub(crate) Me);

impl Drop for CheckOnDrop {
    fn drop(&mut self) {
        self.0.check();
    }
}

/// All flows of a scenario, and whether anything of them is left.
pub(crate) struct Storm {
    barrier: Arc<Barrier>,
    mark: Arc<()>,
}

impl Storm {
    pub(crate) fn new() -> Storm {
        Storm { barrier: Arc::new(Barrier::new(FLOWS as usize)), mark: Arc::new(()) }
    }

    /// The flow with a number: it waits for all others to have begun, then does its work.
    pub(crate) fn flow<F: Future<Output = ()> + Send + 'static>(
        &self,
        number: u32,
        work: impl FnOnce(Me) -> F + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (barrier, mark) = (self.barrier.clone(), self.mark.clone());
        let inside = async move {
            fields::set("number", number);
            let me = Me { number, flow: flow_id().unwrap() };
            me.check_own();
            barrier.wait().await;
            me.check_own();
            work(me).await;
            me.check_own();
        };
        flow("storm", NUMBER.scope(Number(number, mark), OWN.scope(number, inside)))
    }

    /// Checks that no value is left anywhere.
    #[track_caller]
    pub(crate) fn assert_over(&self) {
        assert_eq!(Arc::strong_count(&self.mark), 1, "values of flows that have ended are left");
    }
}
