package keyindex

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/credential"
	"github.com/claviger-dev/claviger/internal/limitstore/local"
	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/scope"
	"github.com/claviger-dev/claviger/internal/token"
)

// cluster is the model: the objects there are, and nothing derived from them.
type cluster struct {
	workspaces  map[string]*v1alpha1.Workspace
	accounts    map[string]*v1alpha1.ServiceAccount
	limits      map[string]*v1alpha1.KeyLimit
	keys        map[string]*v1alpha1.ApiKey
	credentials map[string]credential.Credential
}

// answer is what the index shall say about a hash, in words that can be compared.
type answer struct {
	Key       string // the UID, or empty
	Issue     string // which generation, and whether it is foreign
	Workspace string
	Account   string
	Scopes    []string
	End       time.Time
	Limits    []string // limit, rate and whose requests are counted
}

// answer derives from first principles what the index has to know.
func (c cluster) answer(h token.Hash) answer {
	var oldest *credential.Credential
	var k *v1alpha1.ApiKey
	for _, name := range slices.Sorted(maps.Keys(c.credentials)) {
		candidate := c.credentials[name]
		for _, declared := range c.keys {
			if candidate.Hash == h && declared.UID == candidate.ApiKeyUID && (oldest == nil || older(&candidate, oldest)) {
				oldest, k = &candidate, declared
			}
		}
	}
	if k == nil {
		return answer{}
	}
	a := answer{Key: string(k.UID), Issue: fmt.Sprint(oldest.Generation, oldest.Foreign)}
	w := c.workspaces[k.Spec.WorkspaceRef.Name]
	var account *v1alpha1.ServiceAccount
	var ceiling []string
	if k.Spec.ServiceAccountRef != nil {
		account = c.accounts[k.Spec.ServiceAccountRef.Name]
	}
	if account != nil {
		ceiling = texted(account.Spec.Scopes)
		if account.Spec.WorkspaceRef == k.Spec.WorkspaceRef {
			a.Account = fmt.Sprint(account.Name, account.Spec.Suspended)
		}
	}
	if w != nil {
		a.Workspace = fmt.Sprintln("ns/"+w.Name, w.Spec.Suspended, billed(w.Spec.Billing), logged(w.Spec.Usage))
	}
	if w != nil && (k.Spec.ServiceAccountRef == nil || account != nil) && k.Spec.State != v1alpha1.KeyRevoked {
		a.Scopes = scope.Effective(texted(k.Spec.Scopes), ceiling, catalogue(w.Spec.Scopes)).List()
	}
	a.End = oldest.End(&k.Spec)

	hold := func(refs []v1alpha1.LocalReference, referrer string) {
		for _, ref := range refs {
			l := c.limits[ref.Name]
			if l == nil || l.Spec.Enabled != nil && !*l.Spec.Enabled {
				continue
			}
			subject := string(k.UID)
			if l.Spec.Sharing == v1alpha1.SharingShared {
				subject = referrer
			}
			for i, rate := range l.Spec.Rates {
				if line := fmt.Sprintf("%s %s[%d] %d %s %s", subject, l.UID, i, rate.Requests, rate.Per.Duration, l.Spec.Mode); !slices.Contains(a.Limits, line) {
					a.Limits = append(a.Limits, line)
				}
			}
		}
	}
	hold(k.Spec.LimitRefs, string(k.UID))
	if account != nil {
		hold(account.Spec.LimitRefs, string(account.UID))
	}
	if w != nil {
		hold(w.Spec.LimitRefs, string(w.UID))
		for _, e := range w.Spec.Entities {
			if k.Spec.Entity != nil && e.Kind == k.Spec.Entity.Kind && e.ID == k.Spec.Entity.ID {
				hold(e.LimitRefs, "entity of "+string(w.UID))
			}
		}
		for _, d := range w.Spec.Departments {
			if k.Spec.Entity != nil && d.Name == k.Spec.Entity.Department {
				hold(d.LimitRefs, "department of "+string(w.UID))
			}
		}
	}
	slices.Sort(a.Limits)
	return a
}

// billed is the calendar of a Workspace in words.
func billed(b *v1alpha1.Billing) string {
	if b == nil {
		return "Monthly/1/UTC"
	}
	return fmt.Sprintf("%s/%d/%s", b.ResetPeriod, *b.AnchorDay, b.TimeZone)
}

func logged(u *v1alpha1.UsagePolicy) policy.RequestLog {
	if u == nil {
		return policy.RequestLog{}
	}
	return policy.RequestLog{Retention: u.RequestLog.Retention.Duration, Percent: int(*u.RequestLog.SamplePercent)}
}

// older orders credentials that claim one hash.
func older(a, b *credential.Credential) bool {
	return cmp.Or(a.IssuedAt.Compare(b.IssuedAt), cmp.Compare(a.ApiKeyUID, b.ApiKeyUID), cmp.Compare(a.Generation, b.Generation)) < 0
}

// ask puts the same question to the index.
func ask(x *Index, h token.Hash) answer {
	var entry Entry
	if !x.Lookup(h, &entry) {
		return answer{}
	}
	a := answer{
		Key: entry.Key.ID.String(), Issue: fmt.Sprint(entry.Key.Generation, entry.Foreign),
		Scopes: entry.Scopes("").List(), End: entry.Key.ExpiresAt,
	}
	if entry.Workspace != nil {
		a.Workspace = fmt.Sprintln(entry.Class.WorkspaceID, entry.Workspace.Suspended, entry.Workspace.Billing, entry.Workspace.RequestLog)
	}
	if entry.Account != nil {
		a.Account = fmt.Sprint(entry.Class.Account, entry.Account.Suspended)
	}
	for _, l := range entry.Limits {
		object := x.limits[in(l.Name)].object
		for i, rule := range x.limits[in(l.Name)].rules {
			if rule.Counter == l.Counter {
				a.Limits = append(a.Limits, fmt.Sprintf("%s %s[%d] %d %s %s", x.uidOf(l.shared, entry), object.UID, i, l.Max, l.Per, modes[l.Group > 0]))
			}
		}
	}
	slices.Sort(a.Limits)
	return a
}

var modes = map[bool]v1alpha1.LimitMode{false: v1alpha1.ModeEnforce, true: v1alpha1.ModeShadow}

// uidOf tells whose requests a limit counts.
func (x *Index) uidOf(shared local.Subject, entry Entry) string {
	if shared == 0 {
		return entry.Key.ID.String()
	}
	e := entry.Class.Entity
	for _, w := range x.workspaces {
		if w.object == nil {
			continue
		}
		switch uid := string(w.object.UID); shared {
		case w.subject:
			return uid
		case local.SubjectOf("entity", uid, e.Kind, e.ID):
			return "entity of " + uid
		case local.SubjectOf("department", uid, e.Department):
			return "department of " + uid
		}
	}
	for _, a := range x.accounts {
		if a.object != nil && a.subject == shared {
			return string(a.object.UID)
		}
	}
	return "nobody"
}

var (
	numbers = []int{0, 1, 2}
	hashes  = []token.Hash{token.HashOf("a"), token.HashOf("b"), token.HashOf("c")}
)

func uids(kind string) []types.UID {
	var list []types.UID
	for _, n := range numbers {
		list = append(list, uid(fmt.Sprint(kind, n)), uid(fmt.Sprint(kind, n, " again")))
	}
	return list
}

func drawMeta(t *rapid.T, kind string) metav1.ObjectMeta {
	m := meta(kind + fmt.Sprint(rapid.SampledFrom(numbers).Draw(t, kind)))
	if rapid.IntRange(0, 4).Draw(t, "made again") == 0 {
		m.UID = uid(m.Name + " again")
	}
	return m
}

func drawRef(t *rapid.T, kind string) v1alpha1.LocalReference {
	return v1alpha1.LocalReference{Name: kind + fmt.Sprint(rapid.SampledFrom(numbers).Draw(t, kind+" ref"))}
}

func drawRefs(t *rapid.T) []v1alpha1.LocalReference {
	return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) v1alpha1.LocalReference { return drawRef(t, "l") }), 0, 2,
		func(r v1alpha1.LocalReference) string { return r.Name }).Draw(t, "limits")
}

func drawScopes(t *rapid.T) []v1alpha1.Scope {
	return rapid.SliceOfNDistinct(rapid.SampledFrom([]v1alpha1.Scope{"a", "b", "a.*", "**"}), 0, 2, rapid.ID).Draw(t, "scopes")
}

func drawWorkspace(t *rapid.T) *v1alpha1.Workspace {
	w := &v1alpha1.Workspace{ObjectMeta: drawMeta(t, "w")}
	w.Spec.Suspended = rapid.Bool().Draw(t, "suspended")
	w.Spec.LimitRefs = drawRefs(t)
	if rapid.Bool().Draw(t, "billing") {
		day := rapid.Int32Range(1, 2).Draw(t, "anchor")
		w.Spec.Billing = &v1alpha1.Billing{
			ResetPeriod: rapid.SampledFrom([]v1alpha1.ResetPeriod{v1alpha1.ResetWeekly, v1alpha1.ResetMonthly}).Draw(t, "reset"),
			AnchorDay:   &day, TimeZone: "Asia/Kathmandu",
		}
	}
	if rapid.Bool().Draw(t, "request log") {
		percent := rapid.Int32Range(1, 2).Draw(t, "percent")
		w.Spec.Usage = &v1alpha1.UsagePolicy{RequestLog: &v1alpha1.RequestLog{Retention: metav1.Duration{Duration: time.Hour}, SamplePercent: &percent}}
	}
	if rapid.Bool().Draw(t, "limits of entities") {
		w.Spec.Entities = []v1alpha1.EntityLimits{{Kind: "Agent", ID: "1", LimitRefs: drawRefs(t)}}
		w.Spec.Departments = []v1alpha1.DepartmentLimits{{Name: "1", LimitRefs: drawRefs(t)}}
	}
	if rapid.Bool().Draw(t, "with a catalogue") {
		w.Spec.Scopes = []v1alpha1.ScopeDefinition{{Name: "a", Implies: []v1alpha1.Scope{rapid.SampledFrom([]v1alpha1.Scope{"a.b", "b"}).Draw(t, "implied")}}}
	}
	return w
}

func drawAccount(t *rapid.T) *v1alpha1.ServiceAccount {
	return &v1alpha1.ServiceAccount{ObjectMeta: drawMeta(t, "a"), Spec: v1alpha1.ServiceAccountSpec{
		WorkspaceRef: drawRef(t, "w"), Suspended: rapid.Bool().Draw(t, "suspended"), Scopes: drawScopes(t), LimitRefs: drawRefs(t),
	}}
}

func drawLimit(t *rapid.T) *v1alpha1.KeyLimit {
	l := &v1alpha1.KeyLimit{ObjectMeta: drawMeta(t, "l")}
	enabled := rapid.Bool().Draw(t, "enabled")
	l.Spec.Enabled = &enabled
	l.Spec.Sharing = rapid.SampledFrom([]v1alpha1.Sharing{v1alpha1.SharingPerKey, v1alpha1.SharingShared}).Draw(t, "sharing")
	l.Spec.Mode = rapid.SampledFrom([]v1alpha1.LimitMode{v1alpha1.ModeEnforce, v1alpha1.ModeShadow}).Draw(t, "mode")
	for range rapid.IntRange(1, 2).Draw(t, "rates") {
		l.Spec.Rates = append(l.Spec.Rates, v1alpha1.Rate{
			Requests: rapid.Int64Range(1, 3).Draw(t, "requests"),
			Per:      metav1.Duration{Duration: time.Duration(rapid.IntRange(1, 2).Draw(t, "per")) * time.Minute},
		})
	}
	return l
}

func drawKey(t *rapid.T) *v1alpha1.ApiKey {
	k := &v1alpha1.ApiKey{ObjectMeta: drawMeta(t, "k"), Spec: v1alpha1.ApiKeySpec{WorkspaceRef: drawRef(t, "w"), Scopes: drawScopes(t), LimitRefs: drawRefs(t)}}
	k.Spec.State = rapid.SampledFrom([]v1alpha1.KeyState{"", v1alpha1.KeyActive, v1alpha1.KeyRevoked}).Draw(t, "state")
	if rapid.Bool().Draw(t, "of an account") {
		account := drawRef(t, "a")
		k.Spec.ServiceAccountRef = &account
	}
	if rapid.Bool().Draw(t, "of an entity") {
		id := rapid.SampledFrom([]v1alpha1.EntityID{"1", "2"})
		k.Spec.Entity = &v1alpha1.Entity{Kind: "Agent", ID: id.Draw(t, "entity"), Department: id.Draw(t, "department")}
	}
	if rapid.Bool().Draw(t, "ends") {
		k.Spec.TTL = &metav1.Duration{Duration: time.Hour}
	}
	return k
}

func drawCredential(t *rapid.T) (string, credential.Credential) {
	c := credential.Credential{
		Hash:       rapid.SampledFrom(hashes).Draw(t, "hash"),
		ApiKeyUID:  rapid.SampledFrom(uids("k")).Draw(t, "key"),
		Generation: rapid.IntRange(1, 2).Draw(t, "generation"),
		IssuedAt:   now.Add(time.Duration(rapid.IntRange(0, 1).Draw(t, "issued")) * time.Hour),
		Foreign:    rapid.Bool().Draw(t, "foreign"),
	}
	return credential.Name(c.ApiKeyUID, c.Generation), c
}

// change draws one change, makes it in the model and returns it for an index.
func (c cluster) change(t *rapid.T) func(*Index) {
	return c.draw(t, rapid.IntRange(0, 9).Draw(t, "change"))
}

// changeKey draws a change of a key or a credential, which may come amid any other.
func (c cluster) changeKey(t *rapid.T) func(*Index) {
	return c.draw(t, rapid.IntRange(3, 8).Draw(t, "change amid"))
}

func (c cluster) draw(t *rapid.T, change int) func(*Index) {
	switch change {
	case 0:
		o := drawWorkspace(t)
		c.workspaces[o.Name] = o
		return func(x *Index) { x.SetWorkspace(o) }
	case 1:
		o := drawAccount(t)
		c.accounts[o.Name] = o
		return func(x *Index) { x.SetServiceAccount(o) }
	case 2:
		o := drawLimit(t)
		c.limits[o.Name] = o
		return func(x *Index) { x.SetKeyLimit(o) }
	case 3, 4:
		o := drawKey(t)
		before := c.keys[o.Name]
		c.keys[o.Name] = o
		return func(x *Index) {
			if before != nil && before.UID != o.UID {
				x.DeleteApiKey(before.UID) // the API server says so first
			}
			x.SetApiKey(o)
		}
	case 5, 6:
		name, o := drawCredential(t)
		c.credentials[name] = o
		return func(x *Index) { x.SetCredential(o) }
	case 7:
		name, o := drawCredential(t)
		delete(c.credentials, name)
		return func(x *Index) { x.DeleteCredential(o.ApiKeyUID, o.Generation) }
	case 8:
		name := drawMeta(t, "k").Name
		before := c.keys[name]
		delete(c.keys, name)
		return func(x *Index) {
			if before != nil {
				x.DeleteApiKey(before.UID)
			}
		}
	default:
		kind := rapid.SampledFrom([]string{"w", "a", "l"}).Draw(t, "kind")
		name := drawMeta(t, kind).Name
		switch kind {
		case "w":
			delete(c.workspaces, name)
			return func(x *Index) { x.DeleteWorkspace(in(name)) }
		case "a":
			delete(c.accounts, name)
			return func(x *Index) { x.DeleteServiceAccount(in(name)) }
		default:
			delete(c.limits, name)
			return func(x *Index) { x.DeleteKeyLimit(in(name)) }
		}
	}
}

func newCluster() cluster {
	return cluster{
		map[string]*v1alpha1.Workspace{}, map[string]*v1alpha1.ServiceAccount{}, map[string]*v1alpha1.KeyLimit{},
		map[string]*v1alpha1.ApiKey{}, map[string]credential.Credential{},
	}
}

// arrivals are the objects of the model as they would be listed, in no order.
func (c cluster) arrivals() []func(*Index) {
	var all []func(*Index)
	for _, o := range c.workspaces {
		all = append(all, func(x *Index) { x.SetWorkspace(o) })
	}
	for _, o := range c.accounts {
		all = append(all, func(x *Index) { x.SetServiceAccount(o) })
	}
	for _, o := range c.limits {
		all = append(all, func(x *Index) { x.SetKeyLimit(o) })
	}
	for _, o := range c.keys {
		all = append(all, func(x *Index) { x.SetApiKey(o) })
	}
	for _, o := range c.credentials {
		all = append(all, func(x *Index) { x.SetCredential(o) })
	}
	return all
}

// Whatever happened, and in whatever order the objects come: the index says what follows
// from the objects there are.
func TestAnyHistoryEndsInWhatTheObjectsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		model, x := newCluster(), New()
		x.between = func() {
			if rapid.Bool().Draw(t, "amid") {
				model.changeKey(t)(x)
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "changes") {
			model.change(t)(x)
		}
		compare(t, "after its history", model, x)

		fresh := New()
		for _, arrive := range rapid.Permutation(model.arrivals()).Draw(t, "order") {
			arrive(fresh)
		}
		compare(t, "listed anew", model, fresh)
		if x.Counts() != fresh.Counts() {
			t.Errorf("counts %+v, listed anew %+v", x.Counts(), fresh.Counts())
		}
		if got, want := x.size(), fresh.size(); got != want {
			t.Errorf("%v things are kept, listed anew %v", got, want)
		}
	})
}

func compare(t *rapid.T, when string, model cluster, x *Index) {
	foreign := 0
	for _, c := range model.credentials {
		if c.Foreign {
			foreign++
		}
	}
	if got := x.foreign.Load(); got != int64(foreign) || x.HasForeign() != (foreign > 0) {
		t.Errorf("%s, %d credentials are foreign, and %d are counted", when, foreign, got)
	}
	for i, h := range hashes {
		if got, want := fmt.Sprintf("%+v", ask(x, h)), fmt.Sprintf("%+v", model.answer(h)); got != want {
			t.Errorf("%s, hash %d:\n got %s\nwant %s", when, i, got, want)
		}
	}
}

// Readers and writers at once: a key that is declared throughout is never missing, and a
// lookup never sees the scopes of no catalogue.
func TestReadersSeeOnlyWholeStates(t *testing.T) {
	x := New()
	narrow := func(suspended bool) *v1alpha1.Workspace {
		return shop(func(s *v1alpha1.WorkspaceSpec) {
			s.Suspended = suspended
			s.Scopes = []v1alpha1.ScopeDefinition{{Name: "read"}}
		})
	}
	x.SetWorkspace(narrow(false))
	x.SetApiKey(key("k"))
	x.SetCredential(issuedFor("k", hash))

	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				var entry Entry
				if !x.Lookup(hash, &entry) {
					t.Error("the key was missing for a moment")
					return
				}
				if entry.Workspace != nil && entry.Scopes("").Has("write") {
					t.Error("the key had a scope outside the catalogue for a moment")
					return
				}
			}
		})
	}
	var writers sync.WaitGroup
	writers.Go(func() {
		for i := range 500 {
			x.DeleteWorkspace(in("shop"))
			x.SetWorkspace(narrow(i%2 == 0))
		}
	})
	for i := range 500 {
		x.SetApiKey(key("k", func(s *v1alpha1.ApiKeySpec) { s.DisplayName = fmt.Sprint(i) }))
		end := now.Add(time.Duration(i) * time.Second)
		c := issuedFor("k", hash)
		c.NotAfter = &end
		x.SetCredential(c)
	}
	writers.Wait()
	close(done)
	readers.Wait()
}
