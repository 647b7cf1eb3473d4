//! TCP sockets that are resources: each has an id, a creator, a trigger, and a place in the tree.

mod tcp_listener; // accepts connections
mod tcp_stream; // is one
mod wait; // waits for an operation on a socket that is borrowed

pub use tcp_listener::{Accept, TcpListener};
pub use tcp_stream::{Connect, TcpStream};
