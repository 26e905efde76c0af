/* Two members that both believe themselves owner of one conversation.
 *
 * The view has moved it from OLD to NEW, and OLD doesn't know: it sleeps, or is told late. Each
 * takes sends, writes them to the store and answers. Viewers follow NEW once the view has moved:
 * they see what NEW writes or reads. The rule: OLD answers only while its lease holds, looked at
 * after the write is durable; NEW serves at once, and reads again when OLD's lease must be over.
 * So for a while both answer, and in the end all that either has acknowledged is seen.
 *
 * wrong: NO_LEASE      OLD answers whenever it believes itself owner
 * wrong: LEASE_BEFORE  OLD looks at its lease before it writes, and not after
 * wrong: READ_ONCE     NEW doesn't read again
 */

#define SENDS 2            /* to each of them; ids below SENDS are OLD's */
#define ALL (2 * SENDS)

bool durable[ALL];         /* in the store */
bool acked[ALL];           /* its sender was told so */
bool seen[ALL];            /* shown to the viewers */
bool moved;                /* the view names NEW */
bool lease = true;         /* OLD's lease holds: its own clock says so */

inline read_all(m) {
  atomic {
    for (m : 0 .. ALL - 1) { seen[m] = seen[m] || durable[m] }
  }
}

proctype Old(byte id) {
  bool held = true;
#ifdef LEASE_BEFORE
  held = lease;
#endif
  if
  :: held -> durable[id] = true
  :: true -> goto done       /* refused, or lost on the way to the store */
  fi;
  /* Here it may sleep for as long as it likes. */
  atomic {
#ifndef NO_LEASE
#ifndef LEASE_BEFORE
    held = lease;
#endif
#endif
    if
    :: held -> acked[id] = true; seen[id] = seen[id] || !moved
    :: else
    fi
  }
done:
  skip
}

proctype New(byte id) {
  (moved);
  durable[id] = true;
  atomic { acked[id] = true; seen[id] = true }
}

init {
  byte id;
  atomic {
    for (id : 0 .. SENDS - 1) { run Old(id); run New(SENDS + id) }
  }
  moved = true;
  read_all(id);
  lease = false;             /* six seconds later */
#ifndef READ_ONCE
  read_all(id);
#endif
  (_nr_pr == 1);
  for (id : 0 .. ALL - 1) { assert(!acked[id] || seen[id]) }
}
