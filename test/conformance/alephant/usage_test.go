package alephant

import (
	_ "embed"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/test/stack"
)

//go:embed manifests/usage.yaml
var usageManifests string

// metered is a workspace with some usage: an agent of research spends 300, a member of sales 50.
type metered struct {
	*stack.Stack
	workspace           string
	agent, member       stack.Decision
	agentKey, readerKey string
	rivalKey            string
}

func meter(t *testing.T, s *stack.Stack) *metered {
	t.Helper()
	namespace := s.Namespace(t, "alephant-usage")
	s.Apply(t, namespace, usageManifests)
	keys := map[string]string{}
	for _, name := range []string{"agent", "member", "reader", "rival"} {
		s.AwaitKey(t, namespace, name)
		keys[name] = s.Key(t, namespace, name)
		s.AwaitVerifier(t, keys[name])
	}
	m := &metered{Stack: s, workspace: namespace + "/metered", agentKey: keys["agent"], readerKey: keys["reader"], rivalKey: keys["rival"]}
	m.agent, m.member = s.Verify(t, keys["agent"]), s.Verify(t, keys["member"])
	s.Tell(t, m.agent, "outcome", "success", "spendMicrocents", 300)
	s.Tell(t, m.member, "outcome", "success", "spendMicrocents", 50)
	s.Tell(t, s.Verify(t, keys["rival"]), "outcome", "success", "spendMicrocents", 7777)
	stack.Eventually(t, func() string {
		var got spending
		if m.ask(t, "usage", &got); got.SpendMicrocents < 350 {
			return fmt.Sprintf("%d is told to be spent", got.SpendMicrocents)
		}
		return ""
	})
	return m
}

type spending struct {
	Requests, Succeeded, SpendMicrocents int64
}

// ask asks about the workspace, with the personal token.
func (m *metered) ask(t *testing.T, path string, into any) {
	t.Helper()
	m.Get(t, "/v1/analytics/"+path, into, "Authorization", "Bearer "+m.readerKey, "X-Workspace-Id", m.workspace)
}

func (m *metered) refusal(t *testing.T, path string, headers ...string) (status int, body string) {
	t.Helper()
	answer := m.Do(t, "GET", path, "", headers...)
	return answer.Status, answer.Body
}

func TestUsage(t *testing.T) {
	stack.OnEachStore(t, claviger, func(t *testing.T, s *stack.Stack) {
		m := meter(t, s)
		for name, test := range map[string]func(*testing.T, *metered){
			"P1": testP1Workspace, "P4": testP4Discovery, "P6": testP6Dates, "P7": testP7Analytics, "P8": testP8OneSubject, "P11": testP11Times,
			"people": testPeople,
		} {
			t.Run(name, func(t *testing.T) { test(t, m) })
		}
	})
}

// P1: on workspace routes Authorization and X-Workspace-Id are both required, and the one must be of the other.
func testP1Workspace(t *testing.T, m *metered) {
	for name, test := range map[string]struct {
		headers []string
		want    int
	}{
		"both":              {[]string{"Authorization", "Bearer " + m.readerKey, "X-Workspace-Id", m.workspace}, 200},
		"no workspace":      {[]string{"Authorization", "Bearer " + m.readerKey}, 400},
		"no credential":     {[]string{"X-Workspace-Id", m.workspace}, 401},
		"another workspace": {[]string{"Authorization", "Bearer " + m.readerKey, "X-Workspace-Id", strings.Replace(m.workspace, "metered", "rival", 1)}, 401},
		"another's key":     {[]string{"Authorization", "Bearer " + m.rivalKey, "X-Workspace-Id", m.workspace}, 401},
		"no scope":          {[]string{"Authorization", "Bearer " + m.agentKey, "X-Workspace-Id", m.workspace}, 403},
	} {
		for _, path := range []string{"overview", "costs", "usage", "usage/history", "report", "export"} {
			if status, body := m.refusal(t, "/v1/analytics/"+path, test.headers...); status != test.want {
				t.Errorf("%s, with %s: %d %s, want %d", path, name, status, body, test.want)
			}
		}
	}
}

// P4: a virtual key finds out what it is: its workspace, its ID, the entity and the department that it is bound to.
func testP4Discovery(t *testing.T, m *metered) {
	var got struct {
		Key struct {
			ID, Workspace string
			Entity        struct{ Kind, ID, Department string }
		}
	}
	m.Get(t, "/v1/scope", &got, "Authorization", "Bearer "+m.agentKey)
	if k := got.Key; k.ID != m.agent.Key.ID || k.Workspace != m.workspace || k.Entity.Kind != "Agent" || k.Entity.ID != "summarizer" || k.Entity.Department != "research" {
		t.Errorf("it is told %+v", got)
	}
	// And with its ID, what it used.
	var own spending
	m.Get(t, "/v1/api-keys/"+got.Key.ID+"/usage", &own, "Authorization", "Bearer "+m.agentKey)
	if own.SpendMicrocents != 300 {
		t.Errorf("it used %+v", own)
	}
}

// P6: dates both or neither, from not after to; by default the current billing period; errors that say what to change.
func testP6Dates(t *testing.T, m *metered) {
	today := time.Now().UTC()
	var usual, asked struct {
		spending
		From, To time.Time
	}
	m.ask(t, "usage", &usual)
	first := time.Date(today.Year(), today.Month(), 1, 0, 0, 0, 0, time.UTC)
	if !usual.From.Equal(first) || !usual.To.Equal(first.AddDate(0, 1, 0)) {
		t.Errorf("by default it is from %v to %v", usual.From, usual.To)
	}
	m.ask(t, "usage?from="+today.AddDate(0, 0, -1).Format(time.DateOnly)+"&to="+today.Format(time.DateOnly), &asked)
	if asked.SpendMicrocents != 350 {
		t.Errorf("since yesterday there is %+v", asked)
	}
	m.ask(t, "usage?from=2020-01-01&to=2020-01-31", &asked)
	if asked.SpendMicrocents != 0 {
		t.Errorf("long ago there is %+v", asked)
	}
	for query, want := range map[string]string{
		"?from=2026-01-01": "go together", "?to=2026-01-01": "go together", "?from=2026-02-01&to=2026-01-01": "from is after to", "?from=1.1.2026&to=2026-01-01": "must be a date such as",
	} {
		status, body := m.refusal(t, "/v1/analytics/usage"+query, "Authorization", "Bearer "+m.readerKey, "X-Workspace-Id", m.workspace)
		if status != 400 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s, want a 400 with %q", query, status, body, want)
		}
	}
}

// P7: overview, costs, usage, and the usage of months before.
func testP7Analytics(t *testing.T, m *metered) {
	var overview struct {
		spending
		ActiveKeys int
		Keys       []struct {
			Name            string
			SpendMicrocents int64
		}
	}
	m.ask(t, "overview", &overview)
	// The reader is used, too, and so is none of the rival's.
	if overview.SpendMicrocents != 350 || overview.Succeeded != 2 || overview.ActiveKeys != 3 || overview.Keys[0].Name != m.agent.Key.ID {
		t.Errorf("overview: %+v", overview)
	}
	type cost struct {
		Name            string
		SpendMicrocents int64
	}
	var costs struct {
		SpendMicrocents             int64
		Days                        []struct{ SpendMicrocents int64 }
		Departments, Entities, Keys []cost
	}
	m.ask(t, "costs", &costs)
	var days int64
	for _, day := range costs.Days {
		days += day.SpendMicrocents
	}
	if costs.SpendMicrocents != 350 || days != 350 || costs.Departments[0] != (cost{"research", 300}) || costs.Entities[0] != (cost{"summarizer", 300}) {
		t.Errorf("costs: %+v", costs)
	}
	var history struct {
		Periods []struct {
			From time.Time
			spending
		}
	}
	m.ask(t, "usage/history?months=3", &history)
	if len(history.Periods) != 3 || history.Periods[0].SpendMicrocents != 350 || history.Periods[1].SpendMicrocents != 0 {
		t.Errorf("history: %+v", history)
	}
}

// P8: usage of at most one of agent, member and department.
func testP8OneSubject(t *testing.T, m *metered) {
	for query, want := range map[string]int64{"?agent=summarizer": 300, "?member=ada": 50, "?department=research": 300, "?department=sales": 50, "?agent=ada": 0} {
		var got spending
		if m.ask(t, "usage"+query, &got); got.SpendMicrocents != want {
			t.Errorf("%s: %+v, want %d", query, got, want)
		}
	}
	status, body := m.refusal(t, "/v1/analytics/usage?agent=summarizer&member=ada", "Authorization", "Bearer "+m.readerKey, "X-Workspace-Id", m.workspace)
	if status != 400 || !strings.Contains(body, "cannot be asked for at once") {
		t.Errorf("two: %d %s", status, body)
	}
}

// P11: the same by start and end instead of dates.
func testP11Times(t *testing.T, m *metered) {
	hour := time.Now().UTC().Truncate(time.Hour)
	between := func(start, end time.Time) string {
		return "usage?start=" + url.QueryEscape(start.Format(time.RFC3339)) + "&end=" + url.QueryEscape(end.Format(time.RFC3339))
	}
	var got spending
	if m.ask(t, between(hour.Add(-time.Hour), hour.Add(time.Hour)), &got); got.SpendMicrocents != 350 {
		t.Errorf("now: %+v", got)
	}
	if m.ask(t, between(hour.AddDate(0, 0, -2), hour.AddDate(0, 0, -1)), &got); got.SpendMicrocents != 0 {
		t.Errorf("the day before: %+v", got)
	}
}

// Whom Kubernetes lets get the ApiKey or the Workspace may ask as well, with a token of theirs.
func testPeople(t *testing.T, m *metered) {
	namespace, _, _ := strings.Cut(m.workspace, "/")
	token := func(account string) string {
		t.Helper()
		m.Kubectl(t, "create", "serviceaccount", account, "-n", namespace)
		return strings.TrimSpace(m.Kubectl(t, "create", "token", account, "-n", namespace))
	}
	viewer, stranger, ofOneKey := token("viewer"), token("stranger"), token("of-one-key")
	m.Kubectl(t, "create", "rolebinding", "viewer", "-n", namespace, "--clusterrole=view", "--serviceaccount="+namespace+":viewer")
	m.Kubectl(t, "create", "role", "of-one-key", "-n", namespace, "--verb=get", "--resource=apikeys.keys.claviger.dev", "--resource-name=agent")
	m.Kubectl(t, "create", "rolebinding", "of-one-key", "-n", namespace, "--role=of-one-key", "--serviceaccount="+namespace+":of-one-key")
	agent, member := "/v1/api-keys/"+m.agent.Key.ID+"/usage", "/v1/api-keys/"+m.member.Key.ID+"/usage"
	const overview = "/v1/analytics/overview"
	stack.Eventually(t, func() string { // a denial is remembered for half a minute
		if status, body := m.refusal(t, agent, "Authorization", "Bearer "+viewer); status != 200 {
			return fmt.Sprintf("a viewer is answered %d %s", status, body)
		}
		return ""
	})
	for name, test := range map[string]struct {
		token, path string
		want        int
	}{
		"a viewer, about another key":     {viewer, member, 200},
		"a viewer, about the workspace":   {viewer, overview, 200},
		"of one key, about that":          {ofOneKey, agent, 200},
		"of one key, about another":       {ofOneKey, member, 404},
		"of one key, about the workspace": {ofOneKey, overview, 404},
		"a stranger, about a key":         {stranger, agent, 404},
		"a stranger, about the workspace": {stranger, overview, 404},
		"nobody's token":                  {"eyJhbGciOiJub25lIn0.e30.x", overview, 401},
	} {
		if status, body := m.refusal(t, test.path, "Authorization", "Bearer "+test.token, "X-Workspace-Id", m.workspace); status != test.want {
			t.Errorf("%s: %d %s, want %d", name, status, body, test.want)
		}
	}
}
