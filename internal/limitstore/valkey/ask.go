package valkey

import (
	"context"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// run asks a server. An error means that nobody knows what became of it.
func (s *Store) run(conn *connection, c *call, now time.Time) error {
	c.write(now, s.options.Now)
	begun := time.Now()
	err := s.ask(conn, c)
	if err != nil {
		s.metrics.failed.Inc()
		return err
	}
	s.metrics.answered.Inc()
	s.metrics.seconds.Observe(time.Since(begun).Seconds())
	return nil
}

func (s *Store) ask(conn *connection, c *call) error {
	err := c.read(conn.do(func(client rueidis.Client) rueidis.RedisResult {
		return s.script.Exec(context.Background(), client, c.keys, c.args)
	}))
	if err == nil {
		return nil
	}
	to, asking, elsewhere := redirection(err)
	if !elsewhere {
		conn.fail(err)
		return err
	}
	s.outdated()
	other := s.servers.Load().find(to)
	if other == nil || other == conn {
		return err
	}
	// Where it was asked first nothing was done.
	err = c.read(other.do(func(client rueidis.Client) rueidis.RedisResult {
		if !asking {
			return s.script.Exec(context.Background(), client, c.keys, c.args)
		}
		b := client.B()
		return client.DoMulti(context.Background(), b.Arbitrary("ASKING").Build(),
			b.Eval().Script(scriptText).Numkeys(int64(len(c.keys))).Key(c.keys...).Arg(c.args...).Build())[1]
	}))
	if _, _, elsewhere := redirection(err); err != nil && !elsewhere {
		other.fail(err)
	}
	return err
}

// codeOf is the first word of an error that the server answered, ERR where it does not say more, and
// empty for any other error.
func codeOf(err error) string {
	e, ok := rueidis.IsRedisErr(err)
	if !ok {
		return ""
	}
	code, _, _ := strings.Cut(e.Error(), " ")
	if code == "" || strings.ContainsFunc(code, func(r rune) bool { return r < 'A' || r > 'Z' }) {
		return "ERR" // the client library leaves it out
	}
	return code
}

// redirection reads what a member of a cluster answers that is well, and has not what it was asked
// for: where that is now, or where it is being moved to and must be asked for with ASKING.
func redirection(err error) (to string, asking, ok bool) {
	switch code := codeOf(err); code {
	case "MOVED", "ASK":
		if words := strings.Fields(err.Error()); len(words) == 3 {
			to = words[2]
		}
		return to, code == "ASK", true
	case "TRYAGAIN", "CROSSSLOT":
		return "", false, true
	}
	return "", false, false
}

// read takes the verdicts out of an answer. One that is not as the script answers is an error.
func (c *call) read(answer rueidis.RedisResult) error {
	list, err := answer.ToArray()
	if err != nil {
		return err
	}
	if len(list) != 1+numbers*len(c.entries) {
		return errGarbage
	}
	if c.server, err = list[0].ToInt64(); err != nil {
		return err
	}
	c.verdicts = c.verdicts[:0]
	for list := list[1:]; len(list) > 0; list = list[numbers:] {
		var n [numbers]int64
		for i := range n {
			if n[i], err = list[i].ToInt64(); err != nil {
				return err
			}
		}
		c.verdicts = append(c.verdicts, verdict{allowed: n[0] == 1, granted: n[1], a: n[2], b: n[3]})
	}
	return nil
}
