//! Checks how many hooks there can be, and that filters which contradict themselves are refused.

use forebear_hooks::{AsyncId, HOOKS_MAX, hook};

use crate::support::{Log, alone, resource};

#[test]
fn thirty_two_hooks_work_and_the_next_one_is_refused() {
    let _alone = alone();
    let log = Log::new();
    // A hook that another test detached keeps its slot.
    let mut hooks = Vec::new();
    let refused = loop {
        match log.hook("x").enable() {
            Ok(hook) => hooks.push(hook),
            Err(refused) => break refused,
        }
    };
    assert!((HOOKS_MAX - 1..=HOOKS_MAX).contains(&hooks.len()), "{} hooks", hooks.len());
    assert!(refused.is_full());
    assert_eq!(
        refused.to_string(),
        "32 hooks are enabled, which is the limit: disable one by dropping its handle, or let one \
         hook do the work of two"
    );
    let _a = resource("a");
    assert_eq!(log.take(), vec!["x.init a"; hooks.len()].join(", "));

    // The slot of any of them will do for the next.
    drop(hooks.swap_remove(7));
    let _last = log.hook("last").enable().unwrap();
    let _b = resource("b");
    assert!(log.take().ends_with("x.init b, last.init b"));
}

#[test]
fn filters_that_contradict_themselves_are_refused() {
    let _alone = alone();
    let id = AsyncId::from_u64(1).unwrap();
    for share in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let refused = hook().sample(share).enable().unwrap_err();
        assert!(!refused.is_full());
        assert_eq!(
            refused.to_string(),
            "sample takes a share between 0.0 (no flow) and 1.0 (every flow)"
        );
    }
    let late = "attach_existing does not go with under or sample: what existed before the hook \
                does not know whether it belongs to them";
    assert_eq!(hook().attach_existing().under(id).enable().unwrap_err().to_string(), late);
    assert_eq!(hook().attach_existing().sample(0.5).enable().unwrap_err().to_string(), late);
    assert_eq!(
        hook().under(id).sample(0.5).enable().unwrap_err().to_string(),
        "under and sample do not go together: enable a hook for each"
    );
}

#[test]
fn a_refused_hook_leaves_nothing_behind() {
    let _alone = alone();
    let log = Log::new();
    assert!(log.hook("x").sample(2.0).enable().is_err());
    drop(resource("a"));
    assert_eq!(log.take(), "");
}
