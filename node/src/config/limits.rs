//! Section `limits`: one flat list of keys, of which each part of Ting owns some.

use super::SettingsError;
use crate::listener;
use crate::sockets::SocketSettings;
use actors::Limits as ActorLimits;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor, value::Error};
use std::time::Duration;
use toml::{Table, Value};

/// How much of everything.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// What people may do.
    pub people: ActorLimits,
    /// What connections may do.
    pub connections: listener::Limits,
    /// What sockets may do.
    pub sockets: SocketSettings,
    /// What requests may do.
    pub http: HttpLimits,
}

/// What requests may do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpLimits {
    /// Sign-ins and changes of password from one address in a minute: a family behind one
    /// address, but no dictionary.
    pub sign_ins_per_minute: u32,
    /// Channels made from one address in a minute.
    pub channels_per_minute: u32,
    /// How many passwords are looked at at once, each with 19 MiB and a core for a while.
    pub password_workers: usize,
    /// How many may wait for that: about a second's worth.
    pub password_queue: usize,
    /// Over how many seconds the connections of a node that is going are spread.
    pub drain_seconds: u64,
}

impl Default for HttpLimits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        HttpLimits {
            sign_ins_per_minute: 30,
            channels_per_minute: 30,
            // Half the cores, so that signing in never takes them from those who type.
            password_workers: (cores / 2).max(1),
            password_queue: 32,
            drain_seconds: 5,
        }
    }
}

impl HttpLimits {
    /// Over how long connections are spread when the node goes.
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}

impl Limits {
    pub(super) fn look_at(mut written: Table) -> Result<Self, SettingsError> {
        if let Some((key, _)) = written
            .iter()
            .find(|(_, value)| matches!(value, Value::Integer(number) if *number < 1))
        {
            return Err(SettingsError::new(format!("limits.{key}"), "is at least 1"));
        }
        let limits = Limits {
            people: take(&mut written)?,
            connections: take(&mut written)?,
            sockets: take(&mut written)?,
            http: take(&mut written)?,
        };
        match written.keys().next() {
            Some(key) => Err(SettingsError::new(
                format!("limits.{key}"),
                "is not a key that Ting knows",
            )),
            None => Ok(limits),
        }
    }
}

/// Takes the keys that `T` owns out of the list.
fn take<T: DeserializeOwned>(written: &mut Table) -> Result<T, SettingsError> {
    let mine: Table = fields_of::<T>()
        .iter()
        .filter_map(|field| written.remove_entry(*field))
        .collect();
    serde_path_to_error::deserialize(mine).map_err(|error| {
        let key = format!("limits.{}", error.path());
        SettingsError::new(key, error.inner().message())
    })
}

/// The names of a struct's fields, as it tells a deserializer.
fn fields_of<T: DeserializeOwned>() -> &'static [&'static str] {
    struct Ask<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Ask<'_> {
        type Error = Error;

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Error> {
            *self.0 = fields;
            Err(Error::custom("only asked"))
        }

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(Error::custom("not a struct"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
            option unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier
            ignored_any
        }
    }

    let mut fields: &'static [&'static str] = &[];
    // Its answer is in `fields`; there never is a value.
    let _ = T::deserialize(Ask(&mut fields));
    fields
}
