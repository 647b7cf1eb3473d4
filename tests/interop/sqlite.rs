//! Tests that statements of SQLite carry the context of whoever asked for the blocking job.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use forebear::runtime::Runtime;
use forebear::task::spawn_blocking;
use forebear::{FlowBuilder, fields};
use forebear_context::interop::sql::{SqlTags, TagMode, TaggedSqlite};
use rusqlite::Connection;

/// The text of a statement, as SQLite has it.
fn seen(tagged: &TaggedSqlite<'_>, sql: &str) -> String {
    tagged.with(sql, |statement| Ok(statement.expanded_sql().unwrap())).unwrap()
}

#[test]
fn a_statement_carries_the_context_of_the_flow() {
    let work = FlowBuilder::new("orders.audit").field("requestId", "r-1").run(async {
        let job = spawn_blocking(|| {
            let connection = Connection::open_in_memory().unwrap();
            let tagged = TaggedSqlite::new(&connection, SqlTags::new("orders"));
            let text = seen(&tagged, "SELECT 1");
            assert_eq!(text, "SELECT 1 /*application='orders',label='orders.audit'*/");
            let request = SqlTags::new("orders").mode(TagMode::Request);
            let tagged = TaggedSqlite::new(&connection, request);
            let text = seen(&tagged, "SELECT 1;");
            assert_eq!(
                text,
                "/*application='orders',label='orders.audit',request_id='r-1'*/ SELECT 1;"
            );
            tagged.execute("CREATE TABLE orders (id INTEGER)", []).unwrap();
            for id in 0..3 {
                tagged.execute("INSERT INTO orders VALUES (?1)", [id]).unwrap();
            }
            let last: i64 =
                tagged.query_row("SELECT max(id) FROM orders", [], |row| row.get(0)).unwrap();
            let all = tagged.query_all("SELECT id FROM orders", [], |row| row.get(0)).unwrap();
            assert_eq!((last, all), (2_i64, vec![0_i64, 1, 2]));
            tagged.execute("INSERT INTO nowhere VALUES (1)", []).unwrap_err();
        });
        job.await.unwrap();
        let noted = ["db.queries", "db.errors"].map(|key| fields::get(key).unwrap());
        assert_eq!(noted, [9_u64.into(), 1_u64.into()]);
    });
    Runtime::new().unwrap().block_on(work);
}
