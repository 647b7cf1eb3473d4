//! Says which values are seen, on plain data.
//!
//! A place in a program has a value or none for each key. Within one poll, scopes nest; each has
//! the values it began with, and on top of them what was entered in it and not left. A guard means
//! something in the scope in which it was made, and nothing anywhere else.

use crate::program::Key;

/// The values at one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Env {
    pub(crate) always: Option<u32>,
    pub(crate) same_task: Option<u32>,
    pub(crate) never: Option<u32>,
}

impl Env {
    pub(crate) fn with(mut self, key: Key, value: Option<u32>) -> Env {
        match key {
            Key::Always => self.always = value,
            Key::SameTask => self.same_task = value,
            Key::Never => self.never = value,
        }
        self
    }

    /// What a flow, a timer, a resource that is made here takes over.
    pub(crate) fn in_same_task(self) -> Env {
        Env { never: None, ..self }
    }

    /// What a task or a blocking job that is made here takes over.
    pub(crate) fn in_other_task(self) -> Env {
        Env { always: self.always, ..Env::default() }
    }
}

/// Names what was entered with one guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(u32);

/// The scopes on the stack of one poll.
pub(crate) struct Scopes {
    stack: Vec<Scope>,
    tokens: u32,
}

struct Scope {
    base: Env,
    entered: Vec<Entered>,
}

struct Entered {
    token: Token,
    env: Env,
    is_left: bool,
}

impl Scopes {
    pub(crate) fn new(base: Env) -> Scopes {
        Scopes { stack: vec![Scope { base, entered: Vec::new() }], tokens: 0 }
    }

    fn top(&mut self) -> &mut Scope {
        self.stack.last_mut().expect("there is always one")
    }

    pub(crate) fn env(&mut self) -> Env {
        let top = self.top();
        top.entered.last().map_or(top.base, |innermost| innermost.env)
    }

    pub(crate) fn begin(&mut self, base: Env) {
        self.stack.push(Scope { base, entered: Vec::new() });
    }

    pub(crate) fn end(&mut self) {
        self.stack.pop();
    }

    pub(crate) fn enter(&mut self, key: Key, value: u32) -> Token {
        let env = self.env().with(key, Some(value));
        let token = Token(self.tokens);
        self.tokens += 1;
        self.top().entered.push(Entered { token, env, is_left: false });
        token
    }

    /// Says whether leaving would do something.
    pub(crate) fn is_here(&mut self, token: Token) -> bool {
        self.top().entered.iter().any(|entered| entered.token == token)
    }

    pub(crate) fn leave(&mut self, token: Token) {
        let entered = &mut self.top().entered;
        entered.iter_mut().filter(|it| it.token == token).for_each(|it| it.is_left = true);
        while entered.last().is_some_and(|innermost| innermost.is_left) {
            entered.pop();
        }
    }

    /// The poll is over, and another begins.
    pub(crate) fn begin_poll(&mut self) {
        assert_eq!(self.stack.len(), 1, "a poll ends outside all its scopes");
        self.top().entered.clear();
    }
}
