//! Tests context that goes through a queue with a message.

use std::sync::Arc;
use std::sync::mpsc::channel;

use forebear_context::{AsyncLocal, Carried, fields, flow, flow_id};
use forebear_hooks::{Kind, hook};
use std::sync::Mutex;

use crate::support::{finish, resource};

static USER: AsyncLocal<u32> = AsyncLocal::named("user");

#[test]
fn a_consumer_is_a_root_that_is_linked_to_the_sender() {
    let (sender, receiver) = channel();
    let sent_by = finish(flow(
        "send",
        USER.scope(7, async move {
            fields::set("order", 1);
            sender.send(Carried::new("message")).unwrap();
            flow_id().unwrap()
        }),
    ));
    let receiving = resource("receiver");
    let links = Arc::new(Mutex::new(Vec::new()));
    let notes = links.clone();
    let _watching = hook()
        .kinds([Kind::FLOW])
        .init(move |r| {
            if r.label() == "carried.consume" {
                notes.lock().unwrap().push((r.link(), r.creator_id(), r.trigger_id()));
            }
        })
        .enable()
        .unwrap();
    receiving.run_in_async_scope(|| {
        let (message, origin) = receiver.recv().unwrap().into_parts();
        assert_eq!((message, origin.sender()), ("message", Some(sent_by)));
        finish(origin.linked("carried.consume", async {
            assert_eq!((USER.get(), fields::get("order")), (None, None));
            assert_ne!(flow_id(), Some(sent_by));
        }));
    });
    assert_eq!(*links.lock().unwrap(), [(Some(sent_by), None, None)]);
}

#[test]
fn the_same_work_can_go_on_elsewhere() {
    let seen = finish(flow(
        "send",
        USER.scope(7, async {
            let message = Carried::new(());
            let (_, origin) = message.into_parts();
            let other = resource("other");
            other.run_in_async_scope(|| {
                USER.sync_scope(8, || {
                    finish(origin.continue_flow(async {
                        assert_eq!(USER.get(), Some(7));
                        fields::set("done", true);
                    }));
                    assert_eq!(USER.get(), Some(8));
                });
            });
            fields::get("done")
        }),
    ));
    assert_eq!(seen, Some(true.into()));
}

#[test]
fn what_is_carried_goes_with_the_message() {
    static HELD: AsyncLocal<Arc<()>> = AsyncLocal::named("held");
    let value = Arc::new(());
    let carried = HELD.sync_scope(value.clone(), || Carried::new(1));
    assert_eq!(Arc::strong_count(&value), 2);
    drop(carried);
    assert_eq!(Arc::strong_count(&value), 1);
}
