package apiserver

import (
	"context"
	"net/http"
	"time"

	"receiver/api"
	"receiver/internal/access"
	"receiver/internal/callback"
	"receiver/internal/metrics"
)

// ListSources implements StrictServerInterface.
func (s Server) ListSources(context.Context, ListSourcesRequestObject) (ListSourcesResponseObject, error) {
	if s.Sources == nil {
		return nil, notReached()
	}
	return ListSources200JSONResponse(s.Sources()), nil
}

// GetStatus implements StrictServerInterface.
func (s Server) GetStatus(ctx context.Context, _ GetStatusRequestObject) (GetStatusResponseObject, error) {
	if s.Status == nil {
		return nil, notReached()
	}
	return GetStatus200JSONResponse(s.Status(ctx)), nil
}

// SourcesOf returns the sources of a receiver with what is known of the platform's retries, and of
// each by its metrics.
func SourcesOf(r *callback.Receiver, retries *callback.RetryState, known func(source string) metrics.Source, since time.Time) func() api.Sources {
	return func() api.Sources {
		all := api.Sources{Since: since.UTC(), Sources: []api.SourceStatus{}}
		for _, s := range r.Sources() {
			seen := known(s.Name)
			status := api.SourceStatus{Name: s.Name, Authentic: seen.Authentic, RefusedBy: seen.Refused, Standing: retries.Standing(s.Name, time.Now())}
			for _, k := range s.Verifier.Keys() {
				w := k.Window()
				status.Keys = append(status.Keys, api.KeyStatus{Name: k.Name(), Fingerprint: k.Fingerprint(), NotBefore: w.NotBefore, NotAfter: w.NotAfter, LastUse: seen.Used[k.Fingerprint()]})
			}
			all.Sources = append(all.Sources, status)
		}
		return all
	}
}

// GetToken implements StrictServerInterface.
func (s Server) GetToken(ctx context.Context, _ GetTokenRequestObject) (GetTokenResponseObject, error) {
	h, there := access.Of(ctx)
	if !there {
		return GetToken200JSONResponse{Scopes: access.Scopes}, nil
	}
	return GetToken200JSONResponse{Name: h.Name, Scopes: h.Scopes(), Expires: h.Expires()}, nil
}

// ListTokens implements StrictServerInterface.
func (s Server) ListTokens(context.Context, ListTokensRequestObject) (ListTokensResponseObject, error) {
	if s.Tokens == nil {
		return ListTokens200JSONResponse{}, nil
	}
	return ListTokens200JSONResponse{Tokens: s.Tokens()}, nil
}

// maxSignatures bounds a question beside its body.
const maxSignatures = 16

// Explain implements StrictServerInterface.
func (s Server) Explain(ctx context.Context, r ExplainRequestObject) (ExplainResponseObject, error) {
	if s.Explainer == nil {
		return nil, notReached()
	}
	if r.Body == nil {
		return nil, api.BadRequest.Problem(`send a JSON object: {"source":"NAME","signatures":["sha256=…"],"body":"BASE64"}`)
	}
	if len(r.Body.Signatures) > maxSignatures {
		return nil, api.BadRequest.Problem("there are more than %d signatures; send fewer", maxSignatures)
	}
	found, err := s.explain(ctx, *r.Body)
	return Explain200JSONResponse(found), err
}

// ExplainCallback implements StrictServerInterface.
func (s Server) ExplainCallback(ctx context.Context, r ExplainCallbackRequestObject) (ExplainCallbackResponseObject, error) {
	if s.Explainer == nil || s.Trail == nil {
		return nil, notReached()
	}
	q, err := s.Trail.Signed(ctx, by(ctx, ""), r.Stream, r.Sequence)
	if err != nil {
		return nil, err
	}
	found, err := s.explain(ctx, q)
	return ExplainCallback200JSONResponse(found), err
}

func (s Server) explain(ctx context.Context, q api.ExplainRequest) (api.Explanation, error) {
	found, ok := s.Explainer(ctx, q.Source, q.Signatures, q.Body)
	if !ok {
		return found, api.UnknownSource.Problem("no source %q is configured; GET /v1/sources lists them", q.Source)
	}
	return found, nil
}

// bundled is an evidence bundle as it was made: its bytes are what it is checked by.
type bundled struct {
	bytes []byte
	name  string // as a Content-Disposition
}

// VisitGetBundleResponse implements GetBundleResponseObject.
func (b bundled) VisitGetBundleResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Disposition", b.name)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(b.bytes)
	return err
}
