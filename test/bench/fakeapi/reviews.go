package fakeapi

import (
	"encoding/json"
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
)

// reviewToken says of every token that it is an administrator's.
func reviewToken(w http.ResponseWriter, r *http.Request) {
	review := authenticationv1.TokenReview{}
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	review.Status = authenticationv1.TokenReviewStatus{
		Authenticated: true, User: authenticationv1.UserInfo{Username: "administrator"}, Audiences: review.Spec.Audiences,
	}
	created(w, review)
}

// reviewAccess allows everything.
func reviewAccess(w http.ResponseWriter, r *http.Request) {
	review := authorizationv1.SubjectAccessReview{}
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	review.Status.Allowed = true
	created(w, review)
}

func created(w http.ResponseWriter, review any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(review) //nolint:errcheck // the client notices
}
