//! Shows how a service uses the context layer, as recipes that are run: a user from the middleware, a
//! service per request, an audit row, a transaction through all layers, listeners, worker pools.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::{Arc, Mutex, mpsc as std_mpsc};

use forebear::runtime::Runtime;
use forebear::sync::{Mutex as AsyncMutex, MutexGuard, oneshot};
use forebear::task::{spawn_blocking, yield_now};
use forebear::{AsyncLocal, Inherit, NotInContext, Snapshot, fields, flow, spawn, testing};

/// Runs a future on a runtime, of which nothing is left afterwards.
#[track_caller]
fn run(future: impl Future<Output = ()>) {
    let runtime = Runtime::new().unwrap();
    let id = runtime.id();
    runtime.block_on(future);
    drop(runtime);
    testing::assert_quiescent(id);
}

// A user from the middleware, and a service that exists per request.

#[derive(Clone, Debug, PartialEq)]
struct User {
    id: u32,
}

static USER: AsyncLocal<User> = AsyncLocal::named("user");

/// What a middleware does: who it is, is known to all that the request does.
async fn authenticated<F: Future>(id: u32, request: F) -> F::Output {
    // For the log, also for lines that are written outside the scope, such as the last one.
    fields::set("userId", id);
    USER.scope(User { id }, request).await
}

/// What belongs to one request: made for its user, found by whoever needs it.
struct Basket {
    owner: u32,
    items: Mutex<Vec<&'static str>>,
}

static BASKET: AsyncLocal<Arc<Basket>> = AsyncLocal::named("basket");

/// Fails at once where there is no request, and says what is missing and where.
fn basket() -> Result<Arc<Basket>, NotInContext> {
    BASKET.try_get()
}

async fn with_basket<F: Future>(request: F) -> Result<F::Output, NotInContext> {
    let owner = USER.try_get()?.id;
    let basket = Arc::new(Basket { owner, items: Mutex::default() });
    Ok(BASKET.scope(basket, request).await)
}

#[test]
fn a_middleware_says_who_asks_and_everything_below_knows() {
    run(async {
        let requests = (0..100).map(|id| {
            spawn(flow("request", async move {
                authenticated(id, async move {
                    yield_now().await;
                    assert_eq!(USER.get(), Some(User { id }));
                    spawn(async move { assert_eq!(USER.get(), Some(User { id })) }).await.unwrap();
                })
                .await;
                assert_eq!((USER.get(), fields::get("userId")), (None, Some(id.into())));
            }))
        });
        for request in requests.collect::<Vec<_>>() {
            request.await.unwrap();
        }
    });
}

#[test]
fn a_service_of_a_request_is_found_in_it_and_missed_elsewhere_at_once() {
    run(async {
        let request = authenticated(
            7,
            with_basket(async {
                spawn(async { basket().unwrap().items.lock().unwrap().push("tea") }).await.unwrap();
                basket().unwrap().items.lock().unwrap().push("milk");
                let basket = basket().unwrap();
                let items = basket.items.lock().unwrap().clone();
                (basket.owner, items)
            }),
        );
        assert_eq!(flow("request", request).await.unwrap(), (7, vec!["tea", "milk"]));
        let Err(missing) = spawn(async { basket().map(drop) }).await.unwrap() else {
            panic!("there is a basket outside any request");
        };
        assert_eq!(missing.key(), "basket");
        assert!(missing.to_string().contains("`basket` is not set in #"), "{missing}");
        assert!(missing.to_string().contains("task "), "it says whose code this is: {missing}");
        let nobody = with_basket(async {}).await.unwrap_err();
        assert_eq!(nobody.key(), "user");
    });
}

// An audit row, written by blocking code that was given no user.

fn write_audit_row(connection: &Mutex<Vec<String>>, what: &str) {
    let user = USER.try_get().map_or_else(|_| "nobody".to_owned(), |user| user.id.to_string());
    let request = fields::get("requestId").map(|id| id.to_string()).unwrap_or_default();
    connection.lock().unwrap().push(format!("{user} {request} {what}"));
}

#[test]
fn an_audit_row_has_the_user_of_the_request_that_caused_it() {
    let rows = Arc::new(Mutex::new(Vec::new()));
    let written = rows.clone();
    run(async move {
        let requests = (0..100_u32).map(|id| {
            let rows = written.clone();
            spawn(flow("request", async move {
                fields::set("requestId", format!("r-{id}"));
                let row = async {
                    spawn_blocking(move || write_audit_row(&rows, "paid")).await.unwrap();
                };
                authenticated(id, row).await;
            }))
        });
        for request in requests.collect::<Vec<_>>() {
            request.await.unwrap();
        }
        write_audit_row(&written, "started");
    });
    let mut rows = rows.lock().unwrap();
    let mut want: Vec<String> = (0..100).map(|id| format!("{id} r-{id} paid")).collect();
    want.push("nobody  started".to_owned());
    rows.sort();
    want.sort();
    assert_eq!(*rows, want);
}

// A transaction that goes through all layers and is nobody's argument.

/// A database that knows what was committed.
#[derive(Clone, Default)]
struct Database(Arc<Mutex<Vec<&'static str>>>);

impl Database {
    fn begin(&self) -> Transaction {
        Transaction { database: self.clone(), rows: Vec::new() }
    }

    fn rows(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }
}

/// Rolled back unless it is committed.
struct Transaction {
    database: Database,
    rows: Vec<&'static str>,
}

impl Transaction {
    fn commit(self) {
        self.database.0.lock().unwrap().extend(self.rows);
    }
}

/// Holds the transaction of a request. A commit takes it out; if nobody commits, the end of the scope
/// drops it, which rolls it back.
#[derive(Clone)]
struct TxCell(Arc<AsyncMutex<Option<Transaction>>>);

/// Only the task that began it: a spawned task that wrote into it could come after the commit.
static TX: AsyncLocal<TxCell> = AsyncLocal::named("transaction").inherit(Inherit::SameTask);

impl TxCell {
    /// Runs a future in a transaction of its own, whatever is around: commits it if the future
    /// succeeds.
    async fn run<T, E>(
        database: &Database,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let cell = TxCell(Arc::new(AsyncMutex::new(Some(database.begin()))));
        let output = TX.scope(cell.clone(), work).await?;
        if let Some(transaction) = cell.0.lock().await.take() {
            transaction.commit();
        }
        Ok(output)
    }
}

/// What a layer far below does.
async fn insert(row: &'static str) -> Result<(), String> {
    let cell = TX.try_get().map_err(|missing| missing.key().to_owned())?;
    let mut open: MutexGuard<'_, Option<Transaction>> = cell.0.lock().await;
    yield_now().await;
    open.as_mut().ok_or("committed")?.rows.push(row);
    Ok(())
}

#[test]
fn a_transaction_is_committed_with_its_request_and_else_rolled_back() {
    let database = Database::default();
    let db = database.clone();
    run(async move {
        let placed = TxCell::run(&db, async {
            insert("order").await?;
            // Branches of one task take turns.
            forebear::try_join!(insert("parcel"), insert("label"))?;
            Ok::<_, String>(())
        });
        placed.await.unwrap();
        assert_eq!(db.rows(), ["order", "parcel", "label"]);
        let failed = TxCell::run(&db, async {
            insert("lost").await?;
            Err::<(), _>("no paper".to_owned())
        });
        assert_eq!(failed.await.unwrap_err(), "no paper");
        let task = spawn({
            let db = db.clone();
            async move {
                TxCell::run(&db, async {
                    insert("lost").await?;
                    std::future::pending::<Result<(), String>>().await
                })
                .await
            }
        });
        yield_now().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(db.rows(), ["order", "parcel", "label"]);
    });
    assert_eq!(Arc::strong_count(&database.0), 1, "no transaction is left open");
}

#[test]
fn a_nested_independent_transaction_persists_when_the_outer_one_fails() {
    run(async {
        let db = Database::default();
        let failed = TxCell::run(&db, async {
            insert("order").await?;
            // What is to be known in any case, such as that it was tried.
            TxCell::run(&db, insert("attempt")).await?;
            insert("parcel").await?;
            Err::<(), _>("no paper".to_owned())
        });
        assert_eq!(failed.await.unwrap_err(), "no paper");
        assert_eq!(db.rows(), ["attempt"]);
    });
}

#[test]
fn a_transaction_is_not_shared_with_spawned_tasks() {
    run(async {
        let db = Database::default();
        let placed = TxCell::run(&db, async {
            let child = spawn(insert("stray")).await.unwrap();
            assert_eq!(child, Err("transaction".to_owned()));
            insert("order").await
        });
        placed.await.unwrap();
        assert_eq!(db.rows(), ["order"]);
    });
}

// Listeners: whose context they have is said where they are registered.

type Listener = Box<dyn Fn(u32) -> (u32, Option<User>) + Send + Sync>;

#[test]
fn a_listener_has_its_own_context_or_the_emitters_as_it_was_registered() {
    run(async {
        let mut listeners: Vec<Listener> = Vec::new();
        authenticated(1, async {
            let read = |event| (event, USER.get());
            listeners.push(Box::new(Snapshot::capture().bind(read)));
            listeners.push(Box::new(read));
        })
        .await;
        let emitted = authenticated(2, async {
            listeners.iter().map(|listener| listener(7)).collect::<Vec<_>>()
        });
        let [own, emitters] = [1, 2].map(|id| (7, Some(User { id })));
        assert_eq!(emitted.await, [own, emitters]);
    });
}

// A pool of threads that the runtime does not know.

struct Pool {
    jobs: std_mpsc::Sender<Box<dyn FnOnce() + Send>>,
}

impl Pool {
    fn start() -> Pool {
        let (jobs, inbox) = std_mpsc::channel::<Box<dyn FnOnce() + Send>>();
        std::thread::spawn(move || inbox.into_iter().for_each(|job| job()));
        Pool { jobs }
    }

    /// Runs a job on the pool, in the context of whoever asks for it.
    async fn run<R: Send + 'static>(&self, job: impl FnOnce() -> R + Send + 'static) -> R {
        let (reply, replied) = oneshot::channel();
        let bound = Snapshot::capture().bind_once(|()| drop(reply.send(job())));
        self.jobs.send(Box::new(move || bound(()))).unwrap();
        replied.await.unwrap()
    }
}

#[test]
fn a_pool_of_foreign_threads_works_in_the_context_of_who_asks() {
    run(async {
        let pool = Arc::new(Pool::start());
        let requests = (0..100).map(|id| {
            let pool = pool.clone();
            spawn(authenticated(id, async move { pool.run(|| USER.get()).await }))
        });
        for (id, request) in requests.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(request.await.unwrap(), Some(User { id: id as u32 }));
        }
        assert_eq!(pool.run(|| USER.get()).await, None);
    });
}
