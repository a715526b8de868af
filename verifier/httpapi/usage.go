package httpapi

import (
	"net/http"
	"strconv"

	"github.com/claviger-dev/claviger/verifier/httpapi/internal/strictjson"
	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

// usage takes in what became of requests after they were verified: one report, or a list of them. Each of
// a list is answered in its place, as one that makes no sense must not lose the others.
func (h *handler) usage(x *exchange) {
	err := x.readBody(maxBatchBody)
	if err == nil {
		x.reader.Reset(x.in)
		x.batch = x.batch[:0]
		err = readRoot(x, &x.reader, "the body", (*exchange).usageField)
	}
	switch several := x.report.seen&seenReports != 0; {
	case err != nil:
	case several && x.report.seen != seenReports:
		err = errReportsAndMore
	case several:
		h.reportAll(x)
	default:
		err = h.reportOne(x)
	}
	if err != nil {
		x.invalidRequest(err)
	}
}

var (
	errReportsAndMore = malformed("beside reports stands another field; put it into each of the reports, or send one report")
	errTooManyReports = malformed("reports holds more than " + strconv.Itoa(maxQuestions) + " reports; send them in several lists")
	errNoRequestID    = malformed("requestId is missing; state that of the decision, or send it as X-Request-Id")
	errNoRequestIDs   = malformed("requestId is missing; state that of the decision in each of the reports")
	errKeyAsID        = malformed("requestId holds the key; state that of the decision")
)

// usageField reads a field of the body: a report's own, or the list.
func (x *exchange) usageField(r *strictjson.Reader, name []byte) (err error) {
	if string(name) != "reports" {
		return x.report.field(r, name)
	}
	if err := x.report.once(seenReports, "reports"); err != nil {
		return err
	}
	x.batch, err = appendItems(x.batch, r, "reports", "a list of reports", errTooManyReports)
	return err
}

// reportOne takes in the one report that was read. What it leaves out may be in the headers.
func (h *handler) reportOne(x *exchange) error {
	rp := &x.report.report
	if sent := first(x.Header[headerRequestID]); rp.RequestID == "" && presented.ValidRequestID(sent) {
		rp.RequestID = sent
	}
	if rp.RequestID == "" {
		return errNoRequestID
	}
	if rp.Key == "" && rp.KeyID.IsZero() {
		key, err := presented.KeyOf(x.Header["X-Api-Key"], x.Header["Authorization"], h.bearer.foreign)
		if err != nil {
			return err
		}
		rp.Key = key.Text
	}
	x.bears(rp.Key)
	result := h.report(x)
	if result.code != 0 {
		x.decision.Status, x.decision.RetryAfter = result.status, result.RetryAfter
		x.header.limits(&x.decision)
		x.problem(result.status, result.code.String(), result.text)
		return nil
	}
	x.status, x.contentType = http.StatusOK, typeJSON
	x.out = result.append(x.out[:0], rp.RequestID)
	return nil
}

func (h *handler) reportAll(x *exchange) {
	var accepted, again int64
	x.status, x.contentType = http.StatusOK, typeJSON
	b := strictjson.AppendString(append(x.out[:0], `{"requestId":`...), x.requestID)
	b = append(b, `,"results":[`...)
	for i, item := range x.batch {
		if i > 0 {
			b = append(b, ',')
		}
		result := h.reportItem(x, item)
		switch {
		case result.Again:
			again++
		case result.code == 0:
			accepted++
		}
		b = result.append(b, x.report.report.RequestID)
	}
	b = strconv.AppendInt(append(b, `],"accepted":`...), accepted, 10)
	b = strconv.AppendInt(append(b, `,"again":`...), again, 10)
	x.out = append(b, '}')
}

// reportItem takes in one report of a list.
func (h *handler) reportItem(x *exchange, item []byte) reportResult {
	x.report = report{}
	x.reader.Reset(item)
	if err := readRoot(&x.report, &x.reader, "each of reports", (*report).field); err != nil {
		return refused(err)
	}
	if x.report.report.RequestID == "" {
		return refused(errNoRequestIDs)
	}
	return h.report(x)
}

func (h *handler) report(x *exchange) reportResult {
	rp := &x.report.report
	if presented.HoldsKey(rp.RequestID, rp.Key) {
		rp.RequestID = "" // which is not to be repeated
		return refused(errKeyAsID)
	}
	rp.ClientIP = h.bearer.client(x.Request)
	reported, err := h.verifier.Report(x.Context(), *rp)
	result := reportResult{status: http.StatusOK}
	if err != nil {
		result = refused(err)
	}
	result.Reported = reported
	return result
}
