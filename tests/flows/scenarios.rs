//! The scenarios, over whatever runtime is called `rt`.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc as std_mpsc};
use std::task::Poll;
use std::time::Duration;

use forebear::sync::{Mutex as AsyncMutex, Semaphore, mpsc, oneshot};
use forebear::{Carried, FlowOutcome, Snapshot, fields, flow, flow_id, try_flow};
use forebear_hooks::{AsyncResource, Kind, instrument, instrument_stream};
use futures_lite::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::rt;
use crate::storm::{CheckOnDrop, FLOWS, Me, NUMBER, OWN, Storm, check_nobody};

/// Runs a scenario in all flows at once.
#[track_caller]
fn storm<F: Future<Output = ()> + Send + 'static>(
    work: impl FnOnce(Me) -> F + Clone + Send + 'static,
) {
    let storm = Storm::new();
    let all = &storm;
    rt::run(async move {
        let flows = (0..FLOWS).map(|number| rt::spawn(all.flow(number, work.clone())));
        for flow in flows.collect::<Vec<_>>() {
            flow.await.unwrap();
        }
        check_nobody();
        // What the work shares is still there; of the flows nothing is.
        all.assert_over();
        drop(work);
    });
}

#[test]
fn nested_tasks() {
    storm(|me| async move {
        let child = rt::spawn(async move {
            me.check();
            // A task of its own does not have what is the other's alone.
            assert_eq!(OWN.get(), None);
            rt::yield_now().await;
            let grandchild = rt::spawn(async move {
                rt::yield_now().await;
                me.check();
            });
            grandchild.await.unwrap();
            me.check();
        });
        child.await.unwrap();
    });
}

/// Works on, and is checked between its polls.
async fn branch(me: Me) -> u32 {
    for _ in 0..3 {
        me.check_own();
        rt::yield_now().await;
    }
    me.number
}

#[test]
fn branches_of_one_task() {
    storm(|me| async move {
        let other = async {
            assert_eq!(OWN.get(), Some(FLOWS));
            rt::yield_now().await;
            assert_eq!(OWN.get(), Some(FLOWS));
        };
        let (number, ()) = rt::join!(branch(me), OWN.scope(FLOWS, other));
        assert_eq!(number, me.number);
        let _never = CheckOnDrop(me);
        rt::select! {
            number = branch(me) => assert_eq!(number, me.number),
            () = async { let _dropped = CheckOnDrop(me); pending().await } => {}
        }
        let mut many: FuturesUnordered<_> = (0..3_u32)
            .map(|nth| {
                fields::scope([("nth", nth)], async move {
                    rt::yield_now().await;
                    me.check_own();
                    assert_eq!(fields::get("nth"), Some(nth.into()));
                })
            })
            .collect();
        while many.next().await.is_some() {
            assert_eq!(fields::get("nth"), None);
        }
    });
}

#[test]
fn sets_of_tasks() {
    storm(|me| async move {
        let mut tasks = rt::JoinSet::new();
        for _ in 0..3 {
            tasks.spawn(async move {
                rt::yield_now().await;
                me.check();
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
            me.check_own();
        }
    });
}

#[test]
fn timers_and_intervals() {
    storm(|me| async move {
        rt::sleep(Duration::from_millis(1)).await;
        me.check_own();
        let late = rt::timeout(Duration::from_millis(1), async {
            let _dropped = CheckOnDrop(me);
            pending::<()>().await;
        });
        late.await.unwrap_err();
        me.check_own();
        let mut ticks = rt::interval(Duration::from_millis(1));
        for _ in 0..2 {
            ticks.tick().await;
            me.check_own();
        }
    });
}

#[test]
fn blocking_jobs() {
    storm(|me| async move {
        let job = rt::spawn_blocking(move || {
            me.check();
            assert_eq!(OWN.get(), None);
            CheckOnDrop(me)
        });
        drop(job.await.unwrap());
    });
}

type Job = Box<dyn FnOnce() + Send>;

#[test]
fn foreign_threads() {
    let (jobs, inbox) = std_mpsc::channel::<Job>();
    let thread = std::thread::spawn(move || {
        for job in inbox {
            check_nobody();
            job();
        }
    });
    storm(move |me| async move {
        let (reply, replied) = oneshot::channel();
        let job = Snapshot::capture().bind_once(move |()| {
            // A snapshot is all of a place, also what only its own task has.
            me.check_own();
            reply.send(me.number).unwrap();
        });
        jobs.send(Box::new(move || job(()))).unwrap();
        drop(jobs);
        assert_eq!(replied.await.unwrap(), me.number);
    });
    thread.join().unwrap();
}

#[test]
fn streams() {
    storm(|me| async move {
        let mut left = 3;
        let mut is_ready = false;
        let items = futures_lite::stream::poll_fn(move |cx| {
            me.check();
            is_ready = !is_ready;
            if is_ready {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            left -= 1;
            Poll::Ready((left > 0).then_some(left))
        });
        // It is taken to a task of its own, and has its context there, too.
        let mut stream = Box::pin(instrument_stream(items));
        let taken = rt::spawn_root(async move {
            let mut count = 0;
            while stream.next().await.is_some() {
                count += 1;
                check_nobody();
            }
            count
        });
        assert_eq!(taken.await.unwrap(), 2);
    });
}

#[test]
fn futures_that_are_polled_elsewhere() {
    storm(|me| async move {
        let mine = instrument(async move {
            me.check();
            rt::yield_now().await;
            me.check();
            CheckOnDrop(me)
        });
        let other = rt::spawn_root(async move {
            let mut mine = pin!(mine);
            let done = poll_fn(|cx| {
                check_nobody();
                mine.as_mut().poll(cx)
            });
            std::mem::forget(done.await);
        });
        other.await.unwrap();
    });
}

#[test]
fn channels() {
    storm(|me| async move {
        let (sender, mut receiver) = mpsc::channel(1);
        let producer = rt::spawn(async move {
            for nth in 0..3 {
                me.check();
                sender.send(nth).await.unwrap();
            }
        });
        let mut sum = 0;
        while let Some(nth) = receiver.recv().await {
            me.check_own();
            sum += nth;
        }
        producer.await.unwrap();
        assert_eq!(sum, 3);
    });
}

#[test]
fn consumers_of_a_queue() {
    type Message = Carried<(Me, oneshot::Sender<()>)>;
    let (sender, receiver) = mpsc::unbounded_channel::<Message>();
    let receiver = Arc::new(Mutex::new(Some(receiver)));
    storm(move |me| {
        let receiver = receiver.lock().unwrap().take();
        async move {
            if let Some(mut receiver) = receiver {
                // A worker for all, as a service has it; the first flow begins it and does not own it.
                drop(rt::spawn_root(async move {
                    while let Some(message) = receiver.recv().await {
                        check_nobody();
                        let ((sender, reply), origin) = message.into_parts();
                        let consumed = origin.linked("consume", async {
                            assert_ne!(flow_id(), origin.sender());
                            assert!(NUMBER.with(|seen| seen.is_none()));
                            fields::set("number", "the consumer's");
                            rt::yield_now().await;
                            assert_eq!(fields::get("number"), Some("the consumer's".into()));
                        });
                        consumed.await;
                        origin.continue_flow(async { sender.check_own() }).await;
                        drop(origin);
                        let _gone = reply.send(());
                    }
                }));
            }
            let (reply, replied) = oneshot::channel();
            assert!(sender.send(Carried::new((me, reply))).is_ok());
            drop(sender);
            replied.await.unwrap();
        }
    });
}

#[test]
fn runs_of_a_schedule() {
    storm(|me| async move {
        let schedule = rt::spawn_root(async move {
            let mut ticks = rt::interval(Duration::from_millis(1));
            for run in 0..2 {
                ticks.tick().await;
                check_nobody();
                let work = flow("cron", async move {
                    fields::set("run", run);
                    rt::yield_now().await;
                    assert_eq!(fields::collect(), [("run", run.into())]);
                });
                work.await;
            }
        });
        schedule.await.unwrap();
        me.check_own();
    });
}

type Listener = Box<dyn Fn(Option<u32>) + Send + Sync>;

#[test]
fn emitters() {
    // Shared by all flows; a listener says which context it wants.
    let listeners: Arc<Mutex<Vec<Arc<Listener>>>> = Arc::default();
    storm(move |me| {
        let listeners = listeners.clone();
        async move {
            let bound = Snapshot::capture().bind(move |_emitter| me.check_own());
            let unbound = |emitter| {
                assert_eq!(NUMBER.with(|seen| seen.map(|seen| seen.0)), emitter);
            };
            let mine: [Arc<Listener>; 2] = [Arc::new(Box::new(bound)), Arc::new(Box::new(unbound))];
            listeners.lock().unwrap().extend(mine.iter().cloned());
            rt::yield_now().await;
            // Of others as many as a test has time for.
            let all: Vec<_> = listeners.lock().unwrap().iter().rev().take(20).cloned().collect();
            all.iter().for_each(|listener| listener(Some(me.number)));
            me.check_own();
            let is_mine =
                |listener: &Arc<Listener>| mine.iter().any(|mine| Arc::ptr_eq(mine, listener));
            listeners.lock().unwrap().retain(|listener| !is_mine(listener));
        }
    });
}

/// A connection of a pool: made for one, used by many.
struct Connection {
    resource: AsyncResource,
    socket: rt::TcpStream,
}

#[test]
fn connections_of_a_pool() {
    let pool: Arc<AsyncMutex<Vec<Connection>>> = Arc::default();
    let (permits, address) = (Arc::new(Semaphore::new(16)), Arc::new(AsyncMutex::new(None)));
    storm(move |me| async move {
        let permit = permits.acquire().await.unwrap();
        let known = *address.lock().await;
        let address = match known {
            Some(address) => address,
            None => *address.lock().await.get_or_insert(serve_echo().await),
        };
        let idle = pool.lock().await.pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => {
                let kind = Kind::new("POOLED");
                let resource = AsyncResource::builder(kind).recurring().build();
                // Opened in a request, but not in its context.
                let socket = Snapshot::default().scope(rt::TcpStream::connect(address));
                Connection { resource, socket: socket.await.unwrap() }
            }
        };
        // It keeps nobody's context, neither its maker's nor its borrower's.
        assert!(connection.resource.frame().is_empty());
        connection.resource.run_in_async_scope(check_nobody);
        connection.socket.write_all(&me.number.to_be_bytes()).await.unwrap();
        me.check_own();
        let mut echo = [0; 4];
        connection.socket.read_exact(&mut echo).await.unwrap();
        assert_eq!(echo, me.number.to_be_bytes());
        me.check_own();
        if me.number % 100 != 0 {
            pool.lock().await.push(connection);
        }
        drop(permit);
    });
}

/// Begins a server that returns what it is sent, and returns where it is.
async fn serve_echo() -> std::net::SocketAddr {
    let listener = rt::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(rt::spawn_root(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            drop(rt::spawn_root(async move {
                let mut bytes = [0; 4];
                while socket.read_exact(&mut bytes).await.is_ok() {
                    check_nobody();
                    socket.write_all(&bytes).await.unwrap();
                }
            }));
        }
    }));
    address
}

#[test]
fn errors() {
    storm(|me| async move {
        let failing = try_flow("inner", async {
            assert!(fields::get("number").is_none());
            rt::yield_now().await;
            Err::<Infallible, _>(format!("of {}", me.number))
        });
        let error = failing.await.inspect_err(|_| me.check_own());
        assert_eq!(error.unwrap_err(), format!("of {}", me.number));
        assert_eq!(FlowOutcome::of(&Err::<(), _>("no")).as_str(), "error");
    });
}

#[test]
fn cancellation() {
    storm(|me| async move {
        let (held, is_held) = oneshot::channel();
        let child = rt::spawn(async move {
            let _dropped = CheckOnDrop(me);
            held.send(()).unwrap();
            pending::<()>().await;
        });
        is_held.await.unwrap();
        child.abort();
        assert!(child.await.unwrap_err().is_cancelled());
        let mut unfinished = Box::pin(flow("unfinished", async {
            let _dropped = CheckWithoutFlow(me.number);
            pending::<()>().await;
        }));
        poll_fn(|cx| Poll::Ready(unfinished.as_mut().poll(cx).is_pending())).await;
        drop(unfinished);
    });
}

/// Checks the value, not the fields, when it is dropped: for a flow inside a flow.
struct CheckWithoutFlow(u32);

impl Drop for CheckWithoutFlow {
    fn drop(&mut self) {
        assert_eq!(NUMBER.with(|seen| seen.map(|seen| seen.0)), Some(self.0));
    }
}

#[test]
fn panics() {
    storm(|me| async move {
        let child = rt::spawn(async move {
            let _dropped = CheckOnDrop(me);
            rt::yield_now().await;
            // Without a word on standard error.
            resume_unwind(Box::new(me.number));
        });
        let payload = child.await.unwrap_err().into_panic();
        assert_eq!(payload.downcast_ref::<u32>(), Some(&me.number));
        let job = rt::spawn_blocking(move || {
            let _dropped = CheckOnDrop(me);
            resume_unwind(Box::new(me.number));
        });
        assert!(job.await.unwrap_err().is_panic());
    });
}

#[test]
fn destructors() {
    storm(|me| async move {
        let output = rt::spawn(async move { CheckOnDrop(me) }).await.unwrap();
        drop(output);
        // Of a task that nobody joins, the output is dropped without a context of anybody's.
        let (held, is_held) = oneshot::channel();
        drop(rt::spawn(async move {
            let _dropped = CheckOnDrop(me);
            rt::yield_now().await;
            held.send(()).unwrap();
        }));
        is_held.await.unwrap();
    });
}
