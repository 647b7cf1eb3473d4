//! Keeps values under keys, in memory: `GET key`, `SET key value`, `DEL key`, `COUNT`.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::RwLock;

type Table = RwLock<HashMap<String, String>>;

enum Request {
    Get(String),
    Set(String, String),
    Delete(String),
    Count,
}

impl Request {
    fn parse(line: &str) -> Result<Request, String> {
        let mut words = line.splitn(3, ' ');
        let command = words.next().unwrap_or_default();
        let mut word = |what: &str| {
            words.next().map(str::to_owned).ok_or_else(|| format!("{command} needs a {what}"))
        };
        match command {
            "GET" => Ok(Request::Get(word("key")?)),
            "SET" => Ok(Request::Set(word("key")?, word("value")?)),
            "DEL" => Ok(Request::Delete(word("key")?)),
            "COUNT" => Ok(Request::Count),
            unknown => Err(format!("there is no command `{unknown}`")),
        }
    }
}

async fn answer(table: &Table, line: &str) -> String {
    let request = match Request::parse(line) {
        Ok(request) => request,
        Err(error) => return format!("error: {error}"),
    };
    match request {
        Request::Get(key) => match table.read().await.get(&key) {
            Some(value) => format!("{key} = {value}"),
            None => format!("error: there is no {key}"),
        },
        Request::Set(key, value) => {
            let old = table.write().await.insert(key.clone(), value.clone());
            format!("{key} = {value}, was {old:?}")
        }
        Request::Delete(key) => format!("was {:?}", table.write().await.remove(&key)),
        Request::Count => table.read().await.len().to_string(),
    }
}

async fn serve(table: Arc<Table>, mut stream: TcpStream) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        let reply = answer(&table, &line).await;
        writer.write_all(reply.as_bytes()).await?;
        writer.write_all(b"\n").await?;
    }
    Ok(())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    crate::support::announce(listener.local_addr()?);
    let table = Arc::new(Table::new(HashMap::from([("greeting".into(), "hello".into())])));
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(table.clone(), stream));
    }
}
