//! Tests that work which runs in between does not see what is not its own.

use forebear_context::{AsyncLocal, fields, flow, flow_id};

use crate::support::{interleave, pause};

static USER: AsyncLocal<u64> = AsyncLocal::named("user");

async fn request(number: u64) {
    let mine = flow_id();
    fields::set("requestId", number);
    for round in 0..10 {
        assert_eq!(USER.get(), Some(number));
        assert_eq!(fields::get("requestId"), Some(number.into()));
        assert_eq!(fields::get("round"), (round > 0).then(|| (round - 1 + number).into()));
        fields::set("round", round + number);
        USER.scope(number * 2, async {
            fields::scope([("branch", number)], async {
                pause().await;
                assert_eq!(fields::get("branch"), Some(number.into()));
            })
            .await;
            assert_eq!(USER.get(), Some(number * 2));
        })
        .await;
        assert_eq!(fields::get("branch"), None);
        pause().await;
        assert_eq!(flow_id(), mine);
    }
}

#[test]
fn a_thousand_flows_that_take_turns_see_each_its_own() {
    interleave((1..=1000).map(|number| flow("request", USER.scope(number, request(number)))));
    assert_eq!((USER.get(), flow_id()), (None, None));
}

#[test]
fn flows_on_eight_threads_see_each_its_own() {
    std::thread::scope(|threads| {
        for thread in 0..8 {
            threads.spawn(move || {
                let numbers = thread * 100 + 1..=thread * 100 + 100;
                interleave(numbers.map(|number| flow("r", USER.scope(number, request(number)))));
            });
        }
    });
}

#[test]
fn a_future_that_is_passed_between_threads_takes_its_values_along() {
    let mut future = Box::pin(USER.scope(3, async {
        for _ in 0..10 {
            assert_eq!(USER.get(), Some(3));
            pause().await;
        }
        true
    }));
    loop {
        let polled = std::thread::spawn(move || {
            let polled = crate::support::poll(future.as_mut());
            (polled, future)
        });
        let (polled, back) = polled.join().unwrap();
        future = back;
        match polled {
            std::task::Poll::Ready(is_whole) => break assert!(is_whole),
            std::task::Poll::Pending => assert_eq!(USER.get(), None),
        }
    }
}
