package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// A verifier whose node loses power, or its network, cannot say that its connections are over: what it has locked stays so, and
// holds up all others, until the server gives it up. By itself that takes two hours.
const (
	// A transaction is given up that nothing was heard of for so long: more than a verifier ever thinks between two statements.
	idleTimeout = time.Minute
	// And a connection, whatever it is at, of which the other side's kernel is silent for about as long. In COPY, where the
	// server waits for lines, no transaction is idle.
	keepAlive = `
SELECT set_config(s.name, n.value, false)
FROM (VALUES ('tcp_keepalives_idle', '30'), ('tcp_keepalives_interval', '10'), ('tcp_keepalives_count', '3'), ('tcp_user_timeout', '60000')) AS n (name, value)
JOIN pg_catalog.pg_settings s ON s.name = n.name AND s.source <> 'client'`
)

// prepare readies a new connection. The parameters are not sent in connecting, as libpq would have it, because a pooler
// refuses the connection for those that it does not know. What the URL says of them is left as it is, and so are
// those that the server does not know.
func prepare(ctx context.Context, connection *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout) // which the pool does not set
	defer cancel()
	_, err := connection.Exec(ctx, keepAlive)
	return err
}

// begin runs do in a transaction, which the server gives up where it idles. That is said in each one, in the message
// that begins it: to a pooler a session is nothing that lasts.
func (s *Store) begin(ctx context.Context, do func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{BeginQuery: "BEGIN; " + idling(s.idle)}, do)
}

// idling is how long the transaction may idle.
func idling(timeout time.Duration) string {
	return fmt.Sprintf("SET LOCAL idle_in_transaction_session_timeout = %d", timeout.Milliseconds())
}
