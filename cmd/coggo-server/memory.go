package main

// ballastBytes is the size of a part of the heap that is never touched, so it takes addresses and
// no memory. It counts as live, and the collector runs when the heap has doubled: without it that
// would be every 3 MB, 22 times a second with one client, and each run keeps both processors of a
// small machine busy for a millisecond.
const ballastBytes = 8 << 20
