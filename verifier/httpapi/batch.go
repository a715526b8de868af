package httpapi

import (
	"net/http"
	"strconv"

	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/httpapi/internal/strictjson"
)

// maxQuestions is how many questions may be asked at once, and how much may be reported.
const maxQuestions = 100

// verifyBatch answers several questions in their order, each as if it were asked alone. One that
// makes no sense is answered in its place and spoils no other: whoever gathers the questions of many
// clients must not let one of them stop the rest.
func (h *handler) verifyBatch(x *exchange) {
	err := x.readBody(maxBatchBody)
	if err == nil {
		x.reader.Reset(x.in)
		x.batch, err = appendQuestions(x.batch[:0], &x.reader)
	}
	if err != nil {
		x.invalidRequest(err)
		return
	}
	x.status, x.contentType = http.StatusOK, typeJSON
	x.out = strictjson.AppendString(append(x.out[:0], `{"requestId":`...), x.requestID)
	x.out = append(x.out, `,"responses":[`...)
	ids := x.questionIDs()
	for i, question := range x.batch {
		if i > 0 {
			x.out = append(x.out, ',')
		}
		var id string
		id, ids = ids[:len(x.requestID)+questionIDEnd], ids[len(x.requestID)+questionIDEnd:]
		x.reader.Reset(question)
		x.decision = h.answer(x, id)
		x.out = x.appendVerdict(x.out, id)
	}
	x.out = append(x.out, "]}"...)
}

func (h *handler) answer(x *exchange, id string) verifier.Decision {
	if err := x.question.decode(&x.reader, "each of requests"); err != nil {
		code := policy.CodeRequestInvalid
		return verifier.Decision{Code: code, Status: code.Status(), Error: code.Message() + ": " + err.Error()}
	}
	x.question.request.ID = id
	return h.verifier.Verify(x.Context(), x.question.request)
}

// questionIDEnd is how much longer than the request's ID those of its questions are.
const questionIDEnd = len("-00")

// questionIDs are the IDs of all questions, in one piece of memory: each may be about another request, and be
// reported for itself.
func (x *exchange) questionIDs() string {
	begin := len(x.header.text)
	b := x.header.text
	for i := range x.batch {
		b = append(append(b, x.requestID...), '-', '0'+byte(i/10), '0'+byte(i%10))
	}
	x.header.text = b[:begin] // keeps the memory
	return string(b[begin:])
}

// appendQuestions takes a batch apart. The questions are seen to be JSON, but not read yet.
func appendQuestions(questions [][]byte, r *strictjson.Reader) ([][]byte, error) {
	if err := beginBody(r, "the body"); err != nil {
		return questions, err
	}
	for seen := false; ; seen = true {
		field, more, err := r.Field()
		switch {
		case err != nil:
			return questions, explain(r, err, "", "")
		case !more && !seen:
			return questions, malformed("requests is missing; send a list of questions in it")
		case !more && !r.End():
			return questions, errTail
		case !more:
			return questions, nil
		case string(field) != "requests":
			return questions, unknownField("", field)
		case seen:
			return questions, malformed("requests is there twice")
		}
		if questions, err = appendItems(questions, r, "requests", "a list of questions", errTooManyQuestions); err != nil {
			return questions, err
		}
	}
}

var errTooManyQuestions = malformed("requests holds more than " + strconv.Itoa(maxQuestions) + " questions; ask in several batches")

// appendItems appends what is in a list, as it is written. At most maxQuestions are taken.
func appendItems(items [][]byte, r *strictjson.Reader, name, kind string, errTooMany error) ([][]byte, error) {
	some, err := r.List()
	if !some {
		if err == nil {
			err = strictjson.ErrType // null
		}
		return items, explain(r, err, name, kind)
	}
	for {
		more, err := r.Item()
		if !more {
			return items, explain(r, err, name, kind)
		}
		if len(items) == maxQuestions {
			return items, errTooMany
		}
		item, err := r.Raw()
		if err != nil {
			return items, explain(r, err, name, kind)
		}
		items = append(items, item)
	}
}
