package unsafenet

import "testing"

func TestThisGoHasTheFunctionThatABodyCallsAtItsEnd(t *testing.T) {
	if _, known := endField(); !known {
		t.Fatal("net/http of this release keeps it elsewhere: every short prediction takes a fifth longer")
	}
}
