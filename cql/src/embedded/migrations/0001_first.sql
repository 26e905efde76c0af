-- Ids: slots of the id space, and keys that all nodes share.
CREATE TABLE slots (
    number INTEGER PRIMARY KEY,
    high_water INTEGER NOT NULL
) STRICT;

CREATE TABLE cluster_keys (
    name TEXT PRIMARY KEY,
    key BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- People. Two names that share a skeleton look alike, so a skeleton has one user.
CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    username TEXT NOT NULL UNIQUE,
    password_hash TEXT,
    profile TEXT NOT NULL,
    last_seen INTEGER NOT NULL
) STRICT;

CREATE TABLE skeletons (
    skeleton TEXT PRIMARY KEY,
    user INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX skeletons_of ON skeletons (user);

CREATE TABLE sign_ins (
    hash BLOB PRIMARY KEY,
    user INTEGER NOT NULL,
    username TEXT NOT NULL,
    used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_ins_of ON sign_ins (user);
CREATE INDEX sign_ins_used ON sign_ins (used_at);

CREATE TABLE channels (
    name TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO channels (name, created_at) VALUES ('ting', 0);

-- Messages. An id is unique among all conversations, so it is its own index.
CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    conversation TEXT NOT NULL,
    author INTEGER,
    -- In a private, whom it was said to.
    recipient INTEGER,
    username TEXT NOT NULL,
    text TEXT NOT NULL,
    datetime_start INTEGER NOT NULL,
    datetime_sent INTEGER NOT NULL
) STRICT;
CREATE INDEX messages_of ON messages (conversation, id);
-- What unread is counted by.
CREATE INDEX messages_received ON messages (recipient, author, datetime_sent)
    WHERE recipient IS NOT NULL;

CREATE TABLE marks (
    id INTEGER PRIMARY KEY,
    conversation TEXT NOT NULL,
    ended_at INTEGER NOT NULL
) STRICT;
CREATE INDEX marks_ended ON marks (ended_at);

CREATE TABLE inbox (
    user INTEGER NOT NULL,
    other INTEGER NOT NULL,
    -- The other's name as the last message had it.
    username TEXT NOT NULL,
    datetime_sent INTEGER NOT NULL,
    last_id INTEGER NOT NULL,
    read_up_to INTEGER NOT NULL,
    PRIMARY KEY (user, other)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    user INTEGER NOT NULL,
    key TEXT NOT NULL,
    id INTEGER NOT NULL,
    conversation TEXT NOT NULL,
    bound_at INTEGER NOT NULL,
    PRIMARY KEY (user, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_bound ON keys (bound_at);
