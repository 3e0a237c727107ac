package main

// ballast is never touched, so it takes addresses and no memory. It counts as live, and the collector runs whenever the heap has
// doubled: without it that would be each 3 MB, 22 times a second with one client, and each run keeps both processors of a small
// machine busy for a millisecond.
var ballast = make([]byte, 8<<20)
