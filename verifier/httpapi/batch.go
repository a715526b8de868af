package httpapi

import (
	"net/http"
	"strconv"

	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/httpapi/internal/strictjson"
)

// maxQuestions is how many questions may be asked at once.
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
	for i, question := range x.batch {
		if i > 0 {
			x.out = append(x.out, ',')
		}
		x.reader.Reset(question)
		x.decision = h.answer(x)
		x.out = x.appendVerdict(x.out)
	}
	x.out = append(x.out, "]}"...)
}

func (h *handler) answer(x *exchange) verifier.Decision {
	if err := x.question.decode(&x.reader, "each of requests"); err != nil {
		code := policy.CodeRequestInvalid
		return verifier.Decision{Code: code, Status: code.Status(), Error: code.Message() + ": " + err.Error()}
	}
	x.question.request.ID = x.requestID
	return h.verifier.Verify(x.Context(), x.question.request)
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
		if questions, err = appendItems(questions, r); err != nil {
			return questions, err
		}
	}
}

func appendItems(questions [][]byte, r *strictjson.Reader) ([][]byte, error) {
	const name, kind = "requests", "a list of questions"
	some, err := r.List()
	if !some {
		if err == nil {
			err = strictjson.ErrType // null
		}
		return questions, explain(r, err, name, kind)
	}
	for {
		more, err := r.Item()
		if !more {
			return questions, explain(r, err, name, kind)
		}
		if len(questions) == maxQuestions {
			return questions, malformed(name + " holds more than " + strconv.Itoa(maxQuestions) + " questions; ask in several batches")
		}
		question, err := r.Raw()
		if err != nil {
			return questions, explain(r, err, name, kind)
		}
		questions = append(questions, question)
	}
}
