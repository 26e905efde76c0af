/* Below `low` no place is filled any more, whatever the clocks say.
 *
 * Two members may both believe themselves owner of a conversation: TELLER tells viewers `low`,
 * WRITER takes a send for a ghost. Their clocks are apart, and the teller's is set forward by far
 * at any time. The ghost began at either, so its place is the now of one of them. Each member
 * writes its now into its row when it renews, and raises it to the highest when it looks at the
 * rows. A lease is a renewal and a look, both younger than LEASE. `low` is a now that has stood in
 * the teller's row for LEASE, less EXPIRY and MARGIN. A write begins for no place that is older
 * than EXPIRY, and is acknowledged only with a lease and if by then the place is no older than
 * EXPIRY and MARGIN, both by the writer's own now.
 *
 * wrong: OWN_NOW     `low` follows from the teller's own now
 * wrong: AT_ONCE     `low` follows from a now as soon as it is written
 * wrong: NO_RAISE    members keep their own now whatever the rows say
 * wrong: NO_LOOK     a renewal alone is a lease
 * wrong: NO_RECHECK  the age is looked at when the write begins, and not after
 * wrong: AGE_ANEW    who takes up a claim counts the age from then
 */

#define TICKS 9            /* the longest run */
#define EXPIRY 1
#define MARGIN 1
#define LEASE 2
#define WRITE 2            /* a write takes that long at most, or fails */
#define JUMP 5
#define NONE 255

byte time;

byte teller = 1;           /* its now */
byte row;                  /* the now that stands in its row */
byte settling = NONE;      /* one of those, */
byte standing;             /* and for how long it has stood */
byte settled;
bool jumped;

byte writer;               /* its now */
byte renewed, looked;      /* ticks for which they are good */
byte place = NONE;         /* of the one ghost */
byte writing = NONE;       /* ticks the write has left */
bool lost, claimed;        /* with its author's connection, and taken up again */

#ifdef AGE_ANEW
byte since;                /* of its age */
#define BEGAN since
#else
#define BEGAN place
#endif

#ifdef OWN_NOW
#define LOW teller
#else
#ifdef AT_ONCE
#define LOW row
#else
#define LOW settled
#endif
#endif

#ifdef NO_LOOK
#define HOLDS (renewed > 0)
#else
#define HOLDS (renewed > 0 && looked > 0)
#endif

#ifdef NO_RECHECK
#define YOUNG true
#else
#define YOUNG (writer <= BEGAN + EXPIRY + MARGIN)
#endif

active proctype Teller() {
  do
  :: d_step {
      time < TICKS && row != teller ->
      row = teller;
      if
      :: settling == NONE -> settling = row
      :: else
      fi
    }
  :: d_step { time < TICKS && !jumped -> jumped = true; teller = teller + JUMP }
  :: time == TICKS -> break
  od
}

active proctype Writer() {
  if
  :: writer = 1
  :: writer = 4
  fi;
  do
  :: d_step { time < TICKS && renewed < LEASE -> renewed = LEASE }
  :: d_step {
      time < TICKS && (looked < LEASE || writer < row) ->
      looked = LEASE;
#ifndef NO_RAISE
      writer = (row > writer -> row : writer);
#endif
    }
  :: atomic {
      time < TICKS && place == NONE ->
      if
      :: place = writer
      :: place = teller
      fi;
#ifdef AGE_ANEW
      since = place
#endif
    }
  :: d_step { place != NONE && !lost && writing == NONE -> lost = true }
  :: d_step {
      lost && !claimed ->
      claimed = true;
#ifdef AGE_ANEW
      since = writer
#endif
    }
  :: d_step {
      place != NONE && lost == claimed && writing == NONE && writer <= BEGAN + EXPIRY ->
      writing = WRITE
    }
  :: d_step {
      writing != NONE ->
      assert(!HOLDS || !YOUNG || place + EXPIRY + MARGIN >= LOW);
      writing = NONE
    }
  :: time == TICKS -> break
  od
}

active proctype Clock() {
  do
  :: d_step {
      time < TICKS ->
      time++;
      teller++;
      writer++;
      renewed = (renewed > 0 -> renewed - 1 : 0);
      looked = (looked > 0 -> looked - 1 : 0);
      if
      :: writing != NONE -> writing = (writing > 0 -> writing - 1 : NONE)
      :: else
      fi;
      if
      :: settling != NONE && standing < LEASE -> standing++
      :: settling != NONE && standing == LEASE ->
        settled = settling;
        settling = NONE;
        standing = 0
      :: else
      fi
    }
  :: time == TICKS -> break
  od
}
