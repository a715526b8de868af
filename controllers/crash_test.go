package controllers_test

import (
	"testing"

	"github.com/claviger-dev/claviger/api/v1alpha1"
)

// crashes are the ways to die at a call to the API server.
var crashes = map[string]bool{"before the call reached the server": false, "before the answer came back": true}

// atEveryCall runs a scene once for each call that the operator makes in it, and kills the
// operator there. The scene says whether it was killed.
func atEveryCall(t *testing.T, scene func(t *testing.T, c *calls) (killed bool)) {
	for name, answerLost := range crashes {
		t.Run(name, func(t *testing.T) {
			limit := 0
			for scene(t, &calls{limit: limit, answerLost: answerLost}) {
				limit++
			}
			if limit < 4 {
				t.Fatalf("only %d calls were made: the scene is not what it should be", limit)
			}
		})
	}
}

// A crash at whatever call, while a key is made, loses no key that was ever delivered and
// leads to exactly one.
func TestACrashWhileAKeyIsMade(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	atEveryCall(t, func(t *testing.T, c *calls) bool {
		key := newKey(ns, "", "shop")
		key.GenerateName = "key-"
		create(t, key)
		victim := newDirect(operator)
		victim.Live, victim.Writer = counted{c, admin}, counted{c, admin}
		_, err := victim.once(t, key)
		if c.crashed() != (err != nil) {
			t.Fatalf("at call %d: crashed %v, error %v", c.limit, c.crashed(), err)
		}
		survived := delivered(t, key)

		after := newDirect(operator).settle(t, key)
		credential := oneKey(t, operator, key)
		if credential.Generation != 1 || after.Status.Hint != credential.Hint || reason(after) != v1alpha1.ReasonReconciled {
			t.Errorf("at call %d: generation %d, status %+v", c.limit, credential.Generation, after.Status)
		}
		if survived != nil && plaintext(delivered(t, key)) != plaintext(survived) {
			t.Errorf("at call %d: the key that was delivered is lost", c.limit)
		}
		return c.crashed()
	})
}

// The same while a lost key is replaced; the old hash goes last, and goes.
func TestACrashWhileALostKeyIsReplaced(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	atEveryCall(t, func(t *testing.T, c *calls) bool {
		key := newKey(ns, "", "shop")
		key.GenerateName = "key-"
		create(t, key)
		newDirect(operator).settle(t, key)
		lost := oneKey(t, operator, key)
		remove(t, delivered(t, key))

		victim := newDirect(operator)
		victim.Live, victim.Writer = counted{c, admin}, counted{c, admin}
		_, err := victim.once(t, key)
		if c.crashed() != (err != nil) {
			t.Fatalf("at call %d: crashed %v, error %v", c.limit, c.crashed(), err)
		}
		survived := delivered(t, key)
		if survived == nil && len(hashes(t, operator, key)) != 1 {
			t.Errorf("at call %d: the old hash went before a new key was delivered", c.limit)
		}

		after := newDirect(operator).settle(t, key)
		renewed := oneKey(t, operator, key)
		if renewed.Generation != 2 || renewed.Hash == lost.Hash || reason(after) != v1alpha1.ReasonReconciled {
			t.Errorf("at call %d: generation %d, status %+v", c.limit, renewed.Generation, after.Status)
		}
		if survived != nil && plaintext(delivered(t, key)) != plaintext(survived) {
			t.Errorf("at call %d: the key that was delivered is lost", c.limit)
		}
		return c.crashed()
	})
}

func TestANewKeyCostsThreeWritesAndASecondLookNone(t *testing.T) {
	operator, ns := newNamespace(t, "operator"), newNamespace(t, "team")
	create(t, newWorkspace(ns, "shop"))
	key := newKey(ns, "key", "shop")
	create(t, key)
	d := newDirect(operator)
	if _, err := d.once(t, key); err != nil {
		t.Fatal(err)
	}
	if d.calls.writes != 3 || d.calls.made != 6 {
		t.Errorf("%d writes and %d reads were made, want 3 and 3", d.calls.writes, d.calls.made-d.calls.writes)
	}
	before := fresh(t, key)
	d.settle(t, key)
	if d.calls.made != 6 {
		t.Errorf("looking again made %d calls", d.calls.made-6)
	}
	restarted := newDirect(operator)
	after := restarted.settle(t, key)
	if restarted.calls.writes != 0 || after.ResourceVersion != before.ResourceVersion {
		t.Errorf("a restart made %d writes", restarted.calls.writes)
	}
	if restarted.calls.made != 1 {
		t.Errorf("a restart made %d reads, want one of the delivered Secret", restarted.calls.made)
	}
	if told := d.told(); len(told) > 0 {
		t.Errorf("Events cost writes, too, and these were sent: %q", told)
	}
}
