/*
 * How the long session rotates, as a model for SPIN (https://spinroot.com): successor-confirmed rotation.
 *
 * One honest browser sends requests, gets answers late, in any order or not at all, and its cookie store may be rolled
 * back after a crash. The database keeps one row, and may lose its last commit in a failover. The property: whatever
 * happens, the browser never presents a token that is taken for a stolen one. An assertion in "process" says so.
 *
 *     spin -search -bfs rotation.pml                      the constants as they are: no errors
 *     spin -DW=1 -DP=1 -search -bfs rotation.pml          P = W: an error, with the shortest way to it
 *
 * Time goes in ticks of ten seconds or so. All delays are bounded, and within a tick events happen in any order.
 * A token is told from another by its relations alone, so identities that nobody holds any more are given again.
 */

/* ---- the three constants of the protocol, in ticks */
#ifndef W
#define W 1               /* BURST_WINDOW, 10 s: a token used again within it belongs to the same burst */
#endif
#ifndef P
#define P 4               /* MIN_AGE: how long a parent is not replaced by its child */
#endif
#ifndef K
#define K NEVER           /* MAX_REOPENS: how often a token is reopened; NEVER is not counted */
#endif
#define NEVER 255

/* ---- the world */
#ifndef REQUEST
#define REQUEST 1         /* ticks that a request may take; with ANSWER and TO_DISK at most P - W in all */
#endif
#ifndef ANSWER
#define ANSWER 1
#endif
#ifndef TO_DISK
#define TO_DISK 1         /* ticks until the browser's cookie store is on disk: until then a crash rolls it back */
#endif
#ifndef AT_ONCE
#define AT_ONCE 3         /* requests and answers on their way at one time, three at most */
#endif
#ifndef HONOURED
#define HONOURED 0        /* ticks for which a short session serves; 0: every one is refused */
#endif
#ifndef AHEAD
#define AHEAD 0           /* 1: a short session in the last two fifths of its life is refreshed */
#endif
#ifndef FAILOVERS
#define FAILOVERS 1       /* how often the database loses its last commit */
#endif
#ifndef ANY_TIME
#define ANY_TIME 0        /* 1: also while something is on its way */
#endif
#ifndef CLOCK_BACK
#define CLOCK_BACK 1      /* 1: the server's clock may be set back, below the time of the last rotation */
#endif

mtype = { promote, reopen, rollback, reissue, hold, reuse };   /* what a token is, for the row */
mtype = { nothing, request, answer };                          /* what is on its way */

typedef Token { short gen; byte id; byte parent }              /* id 0: no token, or one that nobody holds any more */
typedef Row { short gen; byte id; int age; byte reopened }     /* of the last token confirmed, and since when */
typedef Packet { mtype kind = nothing; Token t; short valid; short age }

Row row;
mtype found;                                                   /* what the last token presented was */

/* ---- the protocol itself: what an authentic token and the row make of each other */

inline present(shown) {
    if
    :: shown.gen > row.gen + 1 ->
        found = rollback                                       /* authentic, so the database lost commits */
    :: shown.gen == row.gen + 1 && shown.parent == row.id ->           /* a child of the last token that was confirmed */
        found = (row.age > P -> promote : hold)
    :: shown.gen == row.gen && shown.id == row.id ->                   /* that token itself: its answer was lost, or a burst */
        found = (row.age > W && row.reopened < K -> reopen : reissue)
    :: else ->
        found = reuse                                          /* older, or a sibling that lost */
    fi;
    if
    :: found == promote || found == rollback ->
        row.gen = shown.gen; row.id = shown.id; row.age = 0; row.reopened = 0
    :: found == reopen ->
        row.age = 0;
        row.reopened = (K == NEVER -> 0 : row.reopened + 1)
    :: else
    fi
}

#define gets_child  (found != hold && found != reuse)          /* the browser gets a new child of what it presented */
#define was_written (found == promote || found == rollback || found == reopen)

#ifndef TRACE

/* ---- the browser, what is on its way, and what may come back */

#define SLOTS 3
Packet way[SLOTS];
Packet jar;                                                    /* the long cookie, and how long the short one serves */
#define OLDS (SLOTS + 1)
Packet old[OLDS];                                              /* cookies that were overwritten, the newest first */
byte olds;
Row before;                                                    /* the row a failover brings back */
bool has_before;
byte failovers;

#define IDS 24
byte i, n, fresh, names;
short base;
byte name[IDS];
Row saved;

#define copy(to, from)      to.t.gen = from.t.gen; to.t.id = from.t.id; to.t.parent = from.t.parent; to.valid = from.valid
#define copy_row(to, from)  to.gen = from.gen; to.id = from.id; to.age = from.age; to.reopened = from.reopened
#define swap(x, y)          base = x; x = y; y = base

/* States that differ in names alone become one: generations count from the row's, identities are numbered as they are
   met, a parent that nobody holds any more is 0, and of what is on its way the order does not matter. */
inline rename() {
    base = row.gen;
    row.gen = 0;
    if :: has_before -> before.gen = before.gen - base :: else fi;
    jar.t.gen = jar.t.gen - base;
    for (n : 0 .. SLOTS - 1) { if :: way[n].t.id != 0 -> way[n].t.gen = way[n].t.gen - base :: else fi }
    for (n : 0 .. OLDS - 1) { if :: old[n].t.id != 0 -> old[n].t.gen = old[n].t.gen - base :: else fi }
    in_order(0, 1); in_order(1, 2); in_order(0, 1);
    for (n : 0 .. IDS - 1) { name[n] = 0 }
    names = 0;
    give_name(row.id); give_name(before.id); give_name(jar.t.id);
    for (n : 0 .. OLDS - 1) { give_name(old[n].t.id) }
    for (n : 0 .. SLOTS - 1) { give_name(way[n].t.id) }
    row.id = name[row.id]; before.id = name[before.id];
    use_name(jar);
    for (n : 0 .. OLDS - 1) { use_name(old[n]) }
    for (n : 0 .. SLOTS - 1) { use_name(way[n]) }
    fresh = names + 1;
    for (n : 0 .. IDS - 1) { name[n] = 0 }
    n = 0; i = 0; base = 0; names = 0
}

inline give_name(x) {
    if :: x != 0 && name[x] == 0 -> names++; name[x] = names :: else fi
}

inline use_name(packet) {
    packet.t.id = name[packet.t.id]; packet.t.parent = name[packet.t.parent]
}

#define key(x) ((((way[x].kind * 32 + way[x].age) * 32 + way[x].valid) * 32 + way[x].t.gen) * 32 + way[x].t.id) * 32 + way[x].t.parent

inline in_order(x, y) {
    if
    :: key(x) > key(y) ->
        swap(way[x].kind, way[y].kind); swap(way[x].age, way[y].age); swap(way[x].valid, way[y].valid);
        swap(way[x].t.gen, way[y].t.gen); swap(way[x].t.id, way[y].t.id); swap(way[x].t.parent, way[y].t.parent)
    :: else
    fi
}

inline clear(packet) {
    packet.kind = nothing; packet.t.gen = 0; packet.t.id = 0; packet.t.parent = 0; packet.valid = 0; packet.age = 0
}

inline send() {
    copy(way[i], jar);
    way[i].kind = request;
    way[i].age = 0
}

/* The server answers, or the short session still serves: then nothing happens to the long one. */
inline process(is_ahead) {
    copy_row(saved, row);
    present(way[i].t);
    assert(is_ahead || found != reuse);                        /* THE PROPERTY: nobody honest is taken for a thief */
    if
    :: is_ahead && !was_written -> skip                        /* it serves on, and nothing is decided against it */
    :: else ->
        if
        :: was_written && failovers < FAILOVERS -> copy_row(before, saved); has_before = true
        :: else
        fi;
        if
        :: gets_child ->
            way[i].t.parent = way[i].t.id; way[i].t.id = fresh; way[i].t.gen = way[i].t.gen + 1
        :: else ->
            way[i].t.gen = 0; way[i].t.id = 0; way[i].t.parent = 0
        fi;
        if
        :: !gets_child && HONOURED == 0 -> clear(way[i])       /* an answer that brings nothing */
        :: else -> way[i].kind = answer; way[i].valid = HONOURED; way[i].age = 0
        fi
    fi;
    saved.gen = 0; saved.id = 0; saved.age = 0; saved.reopened = 0; found = 0
}

inline deliver() {
    if
    :: way[i].t.id != 0 && way[i].t.id != jar.t.id && TO_DISK > 0 ->
        assert(olds < OLDS);
        for (n : 1 .. olds) { copy(old[olds + 1 - n], old[olds - n]); old[olds + 1 - n].age = old[olds - n].age }
        copy(old[0], jar); old[0].age = 0;
        olds++
    :: else
    fi;
    if
    :: way[i].t.id != 0 -> copy(jar, way[i])
    :: else -> jar.valid = way[i].valid
    fi;
    clear(way[i])
}

/* The browser dies before its cookie store is on disk. */
inline roll_back() {
    copy(jar, old[i]);
    for (n : 0 .. OLDS - 1) {
        if
        :: n + i + 1 < olds -> copy(old[n], old[n + i + 1]); old[n].age = old[n + i + 1].age
        :: else -> clear(old[n])
        fi
    }
    olds = olds - i - 1
}

/* The database goes on with the row of a moment ago: its last commit is lost. */
inline fail_over() {
    copy_row(row, before);
    failovers++; has_before = false; before.gen = 0; before.id = 0; before.age = 0; before.reopened = 0
}

#define older(r)    r.age = (r.age > P -> P + 1 : r.age + 1)           /* older than P is as good as that old */
#define less(valid) valid = (valid > 0 -> valid - 1 : 0)

inline tick() {
    older(row);
    if :: has_before -> older(before) :: else fi;
    less(jar.valid);
    for (n : 0 .. SLOTS - 1) {
        if
        :: way[n].kind == answer -> way[n].age++; less(way[n].valid)
        :: way[n].kind == request -> way[n].age++              /* what it was sent with stays */
        :: else
        fi
    }
    for (n : 0 .. OLDS - 1) {
        if
        :: n < olds && old[n].age >= TO_DISK -> olds = n       /* this one and those before it are safe on disk */
        :: else
        fi;
        if
        :: n < olds -> old[n].age++; less(old[n].valid)
        :: else -> clear(old[n])
        fi
    }
}

#define is_free(n)     (way[n].kind == nothing)
#define is_request(n)  (way[n].kind == request)
#define is_answer(n)   (way[n].kind == answer)
#define may_wait(n)    (is_free(n) || (is_request(n) && way[n].age < REQUEST) || (is_answer(n) && way[n].age < ANSWER))
#define is_last_part(n) (5 * (way[n].valid - way[n].age) <= 2 * HONOURED)
#define on_the_way     ((way[0].kind != nothing) + (way[1].kind != nothing) + (way[2].kind != nothing))
#define is_quiet       (on_the_way == 0 && olds == 0)
#define all_may_wait   (may_wait(0) && may_wait(1) && may_wait(2))

#define slot(n) \
    :: d_step { !is_free(n) -> clear(way[n]); rename() }                         /* lost, or the server crashed */ \
    :: d_step { is_request(n) && way[n].age >= way[n].valid -> i = n; process(0); rename() } \
    :: d_step { AHEAD && is_request(n) && way[n].age < way[n].valid && is_last_part(n) -> i = n; process(1); rename() } \
    :: d_step { is_answer(n) -> i = n; deliver(); rename() }

active proctype world() {
    d_step {                                                   /* signed in: the browser holds a child of the root */
        row.id = 1; fresh = 3;
        jar.t.gen = 1; jar.t.id = 2; jar.t.parent = 1
    }
    do
    :: d_step { on_the_way < AT_ONCE && (AHEAD || jar.valid <= REQUEST) ->
        i = (is_free(0) -> 0 : (is_free(1) -> 1 : 2)); send(); rename() }
    slot(0)
    slot(1)
    slot(2)
    :: d_step { olds > 0 -> i = 0; roll_back(); rename() }
    :: d_step { olds > 1 -> i = 1; roll_back(); rename() }
    :: d_step { olds > 2 -> i = 2; roll_back(); rename() }
    :: d_step { has_before && (ANY_TIME || is_quiet) -> fail_over(); rename() }
    :: d_step { CLOCK_BACK && row.age >= 0 ->
        row.age--;
        if :: has_before && before.age >= 0 -> before.age-- :: else fi;
        rename() }
    :: d_step { all_may_wait -> tick(); rename() }
    od
}

#else

/* ---- a trace that was recorded from the code: W, P and times in milliseconds, tokens numbered as they were met */

Token token[TOKENS];
byte last;

inline waited(ms) { row.age = row.age + ms }

inline presented(number, what) {
    last = number;
    present(token[number]);
    assert(found == what)
}

inline was_given(number, generation, its_parent) {
    assert(gets_child && generation == token[last].gen + 1 && its_parent == token[last].id);
    token[number].gen = generation; token[number].id = number; token[number].parent = its_parent
}

inline row_is(generation, number, times) {
    assert(row.gen == generation && row.id == number && row.reopened == times)
}

inline failed_over(generation, number, ms, times) {
    row.gen = generation; row.id = number; row.age = ms; row.reopened = times
}

#endif
