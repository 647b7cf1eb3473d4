//! Decides which cores are the server's, and which one is the clients'.
//!
//! The clients have the last core that the process may use, pinned. The server has all others if
//! these are at least as many as its workers; else it has all. So a server with one worker on two
//! cores has one for itself. One with two workers shares the clients' core, as it would share it
//! with other programs in production. Pinning both workers to the first core would be cleaner, and
//! wrong: each wake-up of one would push the other off the core, which happens on no machine that
//! is set up well, and a runtime that leaves its second worker asleep would win.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Who runs where.
#[derive(Clone, Copy)]
pub(crate) struct Cores {
    server: CpuSet,
    clients: usize,
}

impl Cores {
    /// Divides the cores that this process may use.
    pub(crate) fn divide(workers: usize) -> io::Result<Cores> {
        let all = sched_getaffinity(None)?;
        Cores::of(all, workers).ok_or_else(|| io::Error::other("the process may use no core"))
    }

    fn of(all: CpuSet, workers: usize) -> Option<Cores> {
        let clients = (0..CpuSet::MAX_CPU).rev().find(|core| all.is_set(*core))?;
        let mut server = all;
        server.unset(clients);
        if (server.count() as usize) < workers {
            server = all;
        }
        Some(Cores { server, clients })
    }

    /// Puts this thread, and all that it will begin, on the server's cores.
    pub(crate) fn use_servers(&self) -> io::Result<()> {
        Ok(sched_setaffinity(None, &self.server)?)
    }

    /// Returns the number of the clients' core.
    pub(crate) fn clients(&self) -> usize {
        self.clients
    }
}

/// Puts this thread on one core.
pub(super) fn use_only(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

#[cfg(test)]
mod tests {
    use rustix::thread::CpuSet;

    use super::Cores;

    fn check(cores: &[usize], workers: usize, want_server: &[usize], want_clients: usize) {
        let mut all = CpuSet::new();
        cores.iter().for_each(|core| all.set(*core));
        let Cores { server, clients } = Cores::of(all, workers).unwrap();
        let server: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| server.is_set(*core)).collect();
        assert_eq!(
            (server.as_slice(), clients),
            (want_server, want_clients),
            "{cores:?} {workers}"
        );
    }

    #[test]
    fn the_server_leaves_the_clients_core_alone_if_it_can() {
        check(&[0, 1], 1, &[0], 1);
        check(&[0, 1], 2, &[0, 1], 1);
        check(&[0, 1, 2, 5], 2, &[0, 1, 2], 5);
        check(&[0, 1, 2, 5], 8, &[0, 1, 2, 5], 5);
        check(&[3], 1, &[3], 3);
        assert!(Cores::of(CpuSet::new(), 1).is_none());
    }
}
