/* A takeover without a gap: viewers are shown each message once, whatever frames are lost.
 *
 * An owner stores a message and shows it in its next frame. It may die at any time; the next owner
 * reads the store, begins an epoch of its own and goes on. Frames carry the epoch and a count
 * within it; a link that ends loses what is on it. The relay at the viewers' node shows a frame
 * that follows the last one. After a gap it asks for everything, and shows of that only what it
 * didn't show before. It announces itself when the owner changes and every few seconds, with the
 * last frame it has; an owner that is elsewhere answers with everything. What comes from an
 * earlier epoch is passed over.
 *
 * When nothing happens any more, what is shown is what is stored, and nothing was shown twice.
 *
 * wrong: NO_EPOCH     frames are told apart by their count alone
 * wrong: NO_GAP       the relay goes on with whichever frame comes next
 * wrong: NO_ANNOUNCE  the relay announces itself only when the owner changes
 * wrong: BLIND        of everything, also what was shown before is shown
 * wrong: UNREAD       a new owner doesn't read the store before it serves
 * wrong: FRAME_FIRST  a message is shown before it is stored
 */

#define OWNERS 3
#define EACH 2             /* messages that each owner takes at most */
#define MESSAGE (1 << ((me - 1) * EACH + n - 1))

mtype = { frame, everything };

byte stored, shown;        /* sets of messages */
byte alive = 1;            /* the owner, and so the epoch, that serves now */
byte count;                /* frames of that epoch so far */
byte known;                /* what that owner has */

/* Kind, epoch, count, and the message or all messages. */
chan link = [2] of { mtype, byte, byte, byte };
/* What the relay has: epoch and count. */
chan asks = [1] of { byte, byte };

#ifdef NO_EPOCH
#define SAME(epoch, other) true
#else
#define SAME(epoch, other) ((epoch) == (other))
#endif

inline dies() {
  atomic {
    alive == me && me < OWNERS ->
#ifdef UNREAD
    known = 0;
#else
    known = stored;
#endif
    count = 0;
    n = 0;
    alive = me + 1
  }
}

inline stores() {
  stored = stored | MESSAGE
}

inline shows() {
  atomic {
    nfull(link) ->
    count++;
    known = known | MESSAGE;
    link!frame, me, count, MESSAGE
  }
}

proctype Owner(byte me) {
  byte n, epoch, last;
end:
  (alive == me);
end_serving:
  do
  :: n < EACH ->
    n++;
#ifdef FRAME_FIRST
    if
    :: shows()
    :: dies(); break
    fi;
    if
    :: stores()
    :: dies(); break
    fi
#else
    stores();
    if
    :: shows()
    :: dies(); break
    fi
#endif
  :: atomic {
      nempty(asks) && nfull(link) ->
      asks?epoch, last;
      if
      :: SAME(epoch, me) && last == count
      :: else -> link!everything, me, count, known
      fi;
      epoch = 0;
      last = 0
    }
  :: dies(); break
  od
}

proctype Relay() {
  mtype kind;
  byte epoch, at, what, last_epoch, last;
end:
  do
  :: atomic {
      link?kind, epoch, at, what ->
      if
#ifdef NO_GAP
      :: kind == frame && SAME(epoch, last_epoch) ->
#else
      :: kind == frame && SAME(epoch, last_epoch) && at == last + 1 ->
#endif
        assert((shown & what) == 0);
        last = at;
        shown = shown | what
      :: kind == everything && epoch >= last_epoch ->
#ifdef BLIND
        assert((shown & what) == 0);
#endif
        last_epoch = epoch;
        last = at;
        shown = shown | what
      :: else ->
        if
        :: nfull(asks) -> asks!last_epoch, last
        :: full(asks)
        fi
      fi;
      epoch = 0; at = 0; what = 0
    }
  :: atomic {
      link?kind, epoch, at, what ->      /* lost with its link */
      epoch = 0; at = 0; what = 0
    }
  :: atomic {
      /* An announcement of what the owner has too changes nothing, so it isn't made here. */
      empty(asks) && empty(link) &&
#ifdef NO_ANNOUNCE
      !SAME(last_epoch, alive) ->
#else
      (!SAME(last_epoch, alive) || last != count) ->
#endif
      asks!last_epoch, last
    }
  od
}

init {
  byte me;
  atomic {
    for (me : 1 .. OWNERS) { run Owner(me) }
    me = 0;
    run Relay()
  }
  timeout;
  assert(shown == stored)
}
