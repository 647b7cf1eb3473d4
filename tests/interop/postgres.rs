//! Tests that a real PostgreSQL sees for whom it works: in `pg_stat_activity`, and in its log of slow
//! statements.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod servers;

use forebear::net::TcpStream;
use forebear::runtime::Runtime;
use forebear::{FlowBuilder, fields, flow, spawn};
use forebear_context::interop::sql::{SqlTags, TagMode, TaggedPostgres};
use forebear_context::wire::{TRACE, TraceParent};
use tokio_postgres::{Client, Config, NoTls};

use crate::servers::Postgres;

/// Connects; the connection is a task of its own that belongs to nobody's request.
async fn connect(postgres: &Postgres) -> Client {
    let socket = TcpStream::connect(("127.0.0.1", postgres.port)).await.unwrap();
    let mut config = Config::new();
    config.user("tester").dbname("postgres");
    let (client, connection) = config.connect_raw(socket, NoTls).await.unwrap();
    drop(forebear::spawn_root(connection));
    client
}

/// What a statement is to the server while it runs.
const MYSELF: &str =
    "SELECT query, $1::int AS number FROM pg_stat_activity WHERE pid = pg_backend_pid()";

async fn seen(client: &TaggedPostgres<Client>, number: i32) -> String {
    let rows = client.query(MYSELF, &[&number]).await.unwrap();
    assert_eq!(rows[0].get::<_, i32>("number"), number);
    rows[0].get("query")
}

#[test]
fn the_server_sees_for_whom_it_works() {
    let postgres = Postgres::start();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        each_mode_says_what_it_should(&postgres).await;
        flows_at_once_have_their_own_tags(&postgres).await;
        injections_stay_in_the_comment(&postgres).await;
        queries_are_noted_in_the_flow(&postgres).await;
    });
}

async fn each_mode_says_what_it_should(postgres: &Postgres) {
    let trace = TraceParent::root(true);
    let tagged = TaggedPostgres::new(connect(postgres).await, SqlTags::new("orders"));
    let place = FlowBuilder::new("orders.place")
        .field("route", "/orders/{id}")
        .field("requestId", "r-1")
        .local(&TRACE, trace);
    let work = async move {
        let stable = "application='orders',label='orders.place',route='%2Forders%2F%7Bid%7D'";
        assert_eq!(seen(&tagged, 1).await, format!("{MYSELF} /*{stable}*/"));
        // The same statement again: prepared once.
        assert_eq!(seen(&tagged, 2).await, format!("{MYSELF} /*{stable}*/"));
        let prepared =
            "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT query%'";
        let count = |rows: Vec<tokio_postgres::Row>| rows[0].get::<_, i64>(0);
        assert_eq!(count(tagged.get_ref().query(prepared, &[]).await.unwrap()), 1);
        let tagged = tagged.mode(TagMode::Request);
        let request = "application='orders',label='orders.place',request_id='r-1',\
            route='%2Forders%2F%7Bid%7D'";
        assert_eq!(seen(&tagged, 3).await, format!("/*{request}*/ {MYSELF}"));
        assert_eq!(seen(&tagged, 4).await, format!("/*{request}*/ {MYSELF}"));
        // Prepared was the statement without a tag, for its types; what is tagged has no name.
        assert_eq!(count(tagged.get_ref().query(prepared, &[]).await.unwrap()), 2);
        let named = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '/*%'";
        assert_eq!(count(tagged.get_ref().query(named, &[]).await.unwrap()), 0);
        let tagged = tagged.mode(TagMode::Traced);
        let traced = format!("{stable},traceparent='{trace}'");
        assert_eq!(seen(&tagged, 5).await, format!("{MYSELF} /*{traced}*/"));
        let unsampled = TraceParent::root(false);
        let seen = TRACE.scope(unsampled, seen(&tagged, 6)).await;
        assert_eq!(seen, format!("{MYSELF} /*{stable}*/"));
    };
    place.run(work).await;
    // What the server found slow, which is everything, it logged with its tag.
    let log = postgres.log();
    let found = log.lines().any(|line| {
        line.contains("duration: ") && line.contains("request_id='r-1'") && line.contains("$1::int")
    });
    assert!(found, "{log}");
}

async fn flows_at_once_have_their_own_tags(postgres: &Postgres) {
    let tags = SqlTags::new("orders").mode(TagMode::Request);
    let mut flows = Vec::new();
    for _ in 0..4 {
        let client = TaggedPostgres::new(connect(postgres).await, tags.clone());
        let client = std::sync::Arc::new(client);
        for number in 0..25 {
            let client = client.clone();
            let request =
                FlowBuilder::new("orders.many").field("requestId", format!("r-{number}-"));
            let work = request.run(async move {
                let seen = seen(&client, number).await;
                assert!(seen.contains(&format!("request_id='r-{number}-'")), "{seen}");
            });
            flows.push(spawn(work));
        }
    }
    for flow in flows {
        flow.await.unwrap();
    }
}

async fn injections_stay_in_the_comment(postgres: &Postgres) {
    let client = connect(postgres).await;
    client.batch_execute("CREATE TABLE kept (id int)").await.unwrap();
    let evil =
        ["*/; DROP TABLE kept; /*", "'; DROP TABLE kept; --", "\\'*/ DROP TABLE kept", "\r\n"];
    let mut client = client;
    for mode in [TagMode::Stable, TagMode::Request, TagMode::Traced] {
        for text in evil {
            let tagged = TaggedPostgres::new(client, SqlTags::new(text).mode(mode));
            let work = FlowBuilder::new(text).field("route", text).field("requestId", text);
            client = work
                .run(async {
                    tagged.batch_execute("SELECT 1; SELECT 2;").await.unwrap();
                    let seen = seen(&tagged, 1).await;
                    assert_eq!(seen.matches("*/").count(), 1, "{seen}");
                    tagged.into_inner()
                })
                .await;
        }
    }
    let rows = client.query("SELECT count(*) FROM kept", &[]).await.unwrap();
    assert_eq!(rows[0].get::<_, i64>(0), 0);
}

async fn queries_are_noted_in_the_flow(postgres: &Postgres) {
    let mut tagged = TaggedPostgres::new(connect(postgres).await, SqlTags::new("orders"));
    flow("orders.count", async move {
        let transaction = tagged.transaction().await.unwrap();
        transaction.execute("CREATE TABLE noted (id int)", &[]).await.unwrap();
        transaction.execute("INSERT INTO noted VALUES ($1)", &[&7]).await.unwrap();
        let one = transaction.query_opt("SELECT id FROM noted", &[]).await.unwrap();
        assert_eq!(one.map(|row| row.get::<_, i32>(0)), Some(7));
        transaction.rollback().await.unwrap();
        let (queries, errors) = (fields::get("db.queries"), fields::get("db.errors"));
        assert_eq!((queries, errors), (Some(3_u64.into()), None));
        tagged.query("SELECT id FROM noted", &[]).await.unwrap_err();
        let (queries, errors) = (fields::get("db.queries"), fields::get("db.errors"));
        assert_eq!((queries, errors), (Some(4_u64.into()), Some(1_u64.into())));
        let Some(fields::Value::F64(ms)) = fields::get("db.ms") else { panic!("no time") };
        assert!(ms > 0.0);
    })
    .await;
}
