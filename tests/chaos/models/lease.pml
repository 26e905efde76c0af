/* Three owners of one conversation in turn, and senders who try again.
 *
 * Each change of the view moves the conversation on. Planned, the old owner takes no more sends,
 * waits for its writes in flight and says Released; otherwise it is put out and may not know for
 * as long as it likes, with its lease held for a while. The new owner reads the store, serves at
 * once, and reads again when the leases it is owed for are over: those of all owners since the
 * last Released. Released hands on what is still owed. While a read is owed, history is read from
 * the store and not from the owner's cache. An owner looks at its lease when the write is durable
 * and before it answers. A send has a key, and the first owner that meets it gives the id.
 *
 * In the end every acknowledged message was shown to the viewers, who follow the newest owner,
 * each once, and no cache that is served from ever lacks one.
 *
 * wrong: NO_LEASE        an owner answers without looking at its lease
 * wrong: READ_ONCE       a new owner doesn't read again
 * wrong: FORGETS         Released doesn't hand on what is owed
 * wrong: RELEASES_EARLY  Released is said while writes are in flight
 * wrong: CACHE_EARLY     history is served from the cache while a read is owed
 * wrong: NO_KEY          each owner gives its own id
 */

#define OWNERS 3
#define SENDERS 2
#define TRIES 2
#define NOBODY 255
#define BIT(message) (1 << (message))

byte view;                 /* the owner by the store's view */
byte follow;               /* the owner the viewers follow: the newest that serves */
bool lease[OWNERS] = true;
bool serving[OWNERS];
byte writing[OWNERS];      /* writes in flight */
bool released[OWNERS];
byte handed[OWNERS];       /* with Released: whose leases are still owed a read */
byte owed[OWNERS];

/* Sets of messages; a message is sender * OWNERS + the owner that gave its id. */
byte durable, acked, shown;
byte cache;                /* what the owner that is followed has written or read */
byte key[SENDERS] = NOBODY;

#ifdef CACHE_EARLY
#define CACHED(i) (serving[i])
#else
#define CACHED(i) (serving[i] && owed[i] == 0)
#endif

proctype Sender(byte me) {
  byte tries, i, message;
  do
  :: atomic {
      tries < TRIES;
      tries++;
      /* Any node that believes itself owner may get it. */
      if
      :: serving[0] -> i = 0
      :: serving[1] -> i = 1
      :: serving[2] -> i = 2
      fi;
      writing[i]++;
#ifdef NO_KEY
      message = me * OWNERS + i;
#else
      if
      :: key[me] == NOBODY -> key[me] = i
      :: else
      fi;
      message = me * OWNERS + key[me];
#endif
    }
    atomic {
      if
      :: durable = durable | BIT(message)
      :: writing[i]--; goto again   /* lost on the way */
      fi
    };
    atomic {
      writing[i]--;
      if
#ifdef NO_LEASE
      :: true ->
#else
      :: lease[i] ->
#endif
        acked = acked | BIT(message);
        if
        :: follow == i ->
          cache = cache | BIT(message);
          shown = shown | BIT(message)
        :: else
        fi;
        assert(!CACHED(follow) || (acked & ~cache) == 0);
        tries = TRIES
      :: else
      fi;
again:
      i = 0;
      message = 0
    }
  :: atomic { tries == TRIES -> tries = 0; break }
  od
}

proctype Owner(byte me) {
  byte read;
  (view == me);
  atomic {
    if
    :: released[me - 1] -> owed[me] = handed[me - 1]; handed[me - 1] = 0
    /* Put out, or nothing was heard in time. */
    :: true -> owed[me] = (1 << me) - 1
    fi;
#ifdef READ_ONCE
    owed[me] = 0;
#endif
  }
  read = durable;
  atomic {
    serving[me] = true;
    follow = me;
    cache = read;
    read = 0;
    shown = shown | cache;
    assert(!CACHED(me) || (acked & ~cache) == 0)
  }
  atomic {
    ((owed[me] & 1) == 0 || !lease[0]) && ((owed[me] & 2) == 0 || !lease[1]) ->
    if
    :: owed[me] != 0 && follow == me ->
      cache = cache | durable;
      shown = shown | cache;
      owed[me] = 0;
      assert((acked & ~cache) == 0)
    :: else
    fi
  }
}

/* An owner that isn't the last one: its lease ends, and it hands over if that was planned. */
proctype Leaves(byte me) {
  (view > me);
  if
  :: serving[me] = false;    /* as planned */
#ifndef RELEASES_EARLY
    (writing[me] == 0);
#endif
    atomic {
      released[me] = true;
#ifndef FORGETS
      handed[me] = owed[me];
#endif
    }
  :: true
  fi;
  /* Put out, it may never learn so. */
  lease[me] = false
}

init {
  byte i;
  atomic {
    serving[0] = true;
    for (i : 0 .. SENDERS - 1) { run Sender(i) }
    for (i : 1 .. OWNERS - 1) { run Owner(i); run Leaves(i - 1) }
  }
  do
  :: atomic {
      /* The next one follows when the last has begun to serve. */
      follow == view && view < OWNERS - 1;
      view++
    }
  :: view == OWNERS - 1 -> break
  od;
  (_nr_pr == 1);
  assert((acked & ~shown) == 0);
  for (i : 0 .. SENDERS - 1) {
    assert(((durable >> (i * OWNERS)) & 7) != 3
      && ((durable >> (i * OWNERS)) & 7) != 5
      && ((durable >> (i * OWNERS)) & 7) < 6)
  }
}
