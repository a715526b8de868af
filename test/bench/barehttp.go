package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
)

// serveBareHTTP answers what a verifier was seen to answer, and does nothing else: the limit
// of net/http. It reads the body, too.
func serveBareHTTP(o childOptions) error {
	answers := map[string]*recorded{}
	for path, file := range o.Answers {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if answers[path], err = parseRecorded(text); err != nil {
			return err
		}
	}
	return serve(o, func(l net.Listener) error { return http.Serve(l, bareHandler(answers)) }, nil)
}

func bareHandler(answers map[string]*recorded) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var buffer [4096]byte
		for {
			if _, err := r.Body.Read(buffer[:]); err != nil {
				break
			}
		}
		answer := answers[r.URL.Path]
		header := w.Header()
		for i := range answer.header {
			header[answer.header[i].name] = answer.header[i].values
		}
		w.WriteHeader(answer.status)
		w.Write(answer.body) //nolint:errcheck // the client notices
	}
}

// recorded is an answer that was seen.
type recorded struct {
	status int
	header []headerField
	body   []byte
}

type headerField struct {
	name   string
	values []string
}

// parseRecorded reads an answer as it was sent. What net/http writes by itself is left to it.
func parseRecorded(text []byte) (*recorded, error) {
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // it is in memory
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	r := &recorded{status: response.StatusCode, body: body}
	response.Header.Del("Date")
	for name, values := range response.Header {
		r.header = append(r.header, headerField{name, values})
	}
	return r, nil
}

// sameSize makes sure that the bare server sends what the verifier does, as far as the length tells:
// it is the numbers in it that differ.
func sameSize(verifier, bare []byte) error {
	const digits = 16
	if diff := len(verifier) - len(bare); diff < -digits || diff > digits {
		return errors.New("the bare server does not answer as the verifier does:\n" + string(bare) + "\nnot\n" + string(verifier))
	}
	return nil
}
