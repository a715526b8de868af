package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/claviger-dev/claviger/test/bench/load"
	"github.com/claviger-dev/claviger/test/bench/population"
)

// A question about a key, as a service asks /v1/verify.
func verifyQuestion(address string, records load.Records) (*load.HTTP, error) {
	body := fmt.Sprintf(`{"key":%q,"scopes":{"allOf":["%s"]},"workspace":%q,"resource":%q,"clientIP":%q}`,
		field(records, population.AtKey), strings.Join(population.Scopes(), `","`),
		field(records, population.AtWorkspace), field(records, population.AtResource), population.ClientIP)
	q := load.Template{Bytes: request("POST /v1/verify", body,
		"Host: claviger-verifier:8080",
		"User-Agent: orders/1.4",
		"Accept-Encoding: gzip",
		"Content-Type: application/json",
		fmt.Sprint("Content-Length: ", len(body)),
	)}
	err := fill(&q, records, population.AtKey, population.AtWorkspace, population.AtResource)
	return &load.HTTP{Address: address, Question: q, Status: 200, Body: []byte(`{"valid":true,`)}, err
}

// A question about a request, as a gateway asks /v1/auth: with what Traefik passes on.
func authQuestion(address string, records load.Records) (*load.HTTP, error) {
	q := load.Template{Bytes: request(
		"GET /v1/auth?scope="+strings.Join(population.Scopes(), "&scope=")+"&resource="+field(records, population.AtResource), "",
		"Host: claviger-verifier:8080",
		"User-Agent: curl/8.14.1",
		"Accept: */*",
		"Accept-Encoding: gzip",
		"X-Forwarded-For: "+population.ClientIP,
		"X-Forwarded-Host: api.example.com",
		"X-Forwarded-Method: POST",
		"X-Forwarded-Proto: https",
		"X-Forwarded-Uri: /orders/4711/items",
		"X-Api-Key: "+field(records, population.AtKey),
		"X-Workspace-Id: "+field(records, population.AtWorkspace),
	)}
	err := fill(&q, records, population.AtKey, population.AtWorkspace, population.AtResource)
	return &load.HTTP{Address: address, Question: q, Status: 200}, err
}

// strangerQuestion is one of somebody who tries keys, each from another address: a table of
// addresses has no easy time with them.
func strangerQuestion(address string, records load.Records) (*load.HTTP, error) {
	h, err := authQuestion(address, records)
	if err != nil {
		return nil, err
	}
	h.Question.Bytes = bytes.Replace(h.Question.Bytes, []byte(population.ClientIP), []byte(field(records, population.AtAddress)), 1)
	h.Question = load.Template{Bytes: h.Question.Bytes}
	h.Status, h.Body = 0, []byte(`{"error":`) // refused, or told to wait
	return h, fill(&h.Question, records, population.AtKey, population.AtWorkspace, population.AtResource, population.AtAddress)
}

func request(line, body string, header ...string) []byte {
	return []byte(line + " HTTP/1.1\r\n" + strings.Join(header, "\r\n") + "\r\n\r\n" + body)
}

// field is a part of the first record, which stands in the question as an example.
func field(records load.Records, at int) string { return string(population.Field(records.At(0), at)) }

// fill makes slots of the examples.
func fill(q *load.Template, records load.Records, fields ...int) error {
	for _, at := range fields {
		if err := q.Slot(population.Field(records.At(0), at), at); err != nil {
			return err
		}
	}
	return nil
}
