package httpapi

import (
	"strconv"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/httpapi/internal/strictjson"
	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

// report is what is reported. It is read as strictly as a question: a misspelt "spendMicrocents" that is
// ignored would be money that nobody counts.
type report struct {
	report verifier.Report
	fieldset
}

// The fields that only reports have.
const (
	seenReports = seenExplain << (iota + 1)
	seenRequestID
	seenKeyID
	seenOutcome
	seenError
	seenLatency
	seenBytes
	seenHTTPStatus
)

func (rp *report) field(r *strictjson.Reader, name []byte) error {
	switch string(name) {
	case "requestId":
		return rp.requestID(r)
	case "key":
		return rp.text(r, seenKey, "key", &rp.report.Key)
	case "keyId":
		return rp.keyID(r)
	case "spendMicrocents":
		return rp.number(r, seenSpend, "spendMicrocents", &rp.report.SpendMicrocents)
	case "outcome":
		return rp.text(r, seenOutcome, "outcome", (*string)(&rp.report.Outcome))
	case "error":
		return rp.text(r, seenError, "error", &rp.report.Error)
	case "labels":
		return readObject(rp, &rp.fieldset, r, seenLabels, "labels", (*report).labelsField)
	case "resource":
		return rp.text(r, seenResource, "resource", &rp.report.Resource)
	case "latencyMs":
		return rp.latency(r)
	case "bytes":
		return rp.number(r, seenBytes, "bytes", &rp.report.Bytes)
	case "httpStatus":
		var status int64
		err := rp.number(r, seenHTTPStatus, "httpStatus", &status)
		rp.report.HTTPStatus = int(min(max(status, -1), 1000))
		return err
	}
	return unknownField("", name)
}

func (rp *report) labelsField(r *strictjson.Reader, name []byte) error {
	switch string(name) {
	case "tier":
		return rp.text(r, seenTier, "labels.tier", &rp.report.Labels.Tier)
	case "domain":
		return rp.text(r, seenDomain, "labels.domain", &rp.report.Labels.Domain)
	}
	return unknownField("labels.", name)
}

// requestID takes no other than a door may have given: it is told again in the answer.
func (rp *report) requestID(r *strictjson.Reader) error {
	var id string
	if err := rp.text(r, seenRequestID, "requestId", &id); err != nil || id == "" {
		return err
	}
	if !presented.ValidReportedID(id) {
		return malformed("requestId must be that of the decision; those have no more than " +
			strconv.Itoa(presented.MaxReportedIDLength) + " letters, digits, points, hyphens and underscores")
	}
	rp.report.RequestID = id
	return nil
}

func (rp *report) keyID(r *strictjson.Reader) error {
	var text string
	if err := rp.text(r, seenKeyID, "keyId", &text); err != nil || text == "" {
		return err
	}
	id, err := keyid.Parse(text)
	if err != nil {
		return malformed("keyId must be the key.id of the decision, a UUID in small letters")
	}
	rp.report.KeyID = id
	return nil
}

func (rp *report) latency(r *strictjson.Reader) error {
	const most = int64(verifier.MaxLatency / time.Millisecond)
	var milliseconds int64
	if err := rp.number(r, seenLatency, "latencyMs", &milliseconds); err != nil {
		return err
	}
	if milliseconds < 0 || milliseconds > most {
		return malformed("latencyMs must be from 0 to " + strconv.FormatInt(most, 10))
	}
	rp.report.Latency = time.Duration(milliseconds) * time.Millisecond
	return nil
}
