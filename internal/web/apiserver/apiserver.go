// Package apiserver answers the operations of the contract, api/openapi.yaml, for the private
// listener. oapi-codegen makes the routes and the reading of parameters (server.gen.go). The rest
// translates between them and the packages that know the answers. Package web decides about access
// before a request comes here.
package apiserver

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"receiver/api"
	"receiver/internal/access"
	"receiver/internal/condition"
	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/keyusage"
	"receiver/internal/preflight"
)

// Server has what the operations answer from. An operation whose part is nil answers 503. Errors
// that are an *api.Problem are answered as they are, others as api.Unavailable.
type Server struct {
	Jobs        Jobs
	Submissions Submissions
	Actions     Actions
	Platform    Platform
	Trail       Trail
	Logs        SealedLogs
	Explainer   Explainer
	Forwarding  Forwarding
	Feed        Feed
	// Readers bounds those who follow the feed. It must be set if Feed is.
	Readers *Readers
	// Streams compares the streams with the configuration, Keys returns the use of all keys, and
	// Doctor looks for problems.
	Streams func(context.Context) (api.StreamsPlan, error)
	Keys    func(context.Context) ([]keyusage.Use, error)
	Doctor  func(context.Context) api.Diagnosis
	// Traffic counts the callbacks of each minute.
	Traffic func(context.Context, api.GetTrafficParams) (api.Traffic, error)
	// Stopping is done when the listener stops: then requests that wait are answered, and streams
	// of events end. Nil is never.
	Stopping context.Context
	// Status says how the receiver is.
	Status func(context.Context) condition.Status
	// Sources returns the sources in force, and Tokens the use of the tokens in force.
	Sources func() api.Sources
	Tokens  func() []access.Use
}

// Jobs are the jobs of the stream JOBS.
type Jobs interface {
	// List returns a page of jobs. If it is empty, List waits for a job to be in it, at most for
	// wait.
	List(ctx context.Context, q joblist.Query, wait time.Duration) (joblist.Page, error)
	// Counts returns how many jobs there are.
	Counts() joblist.Tallies
	// Job returns one job. It waits, at most for wait, until the job is known or, if ended is true,
	// has ended.
	Job(ctx context.Context, source, id string, ended bool, wait time.Duration) (joblist.Job, error)
	// Events returns all events of a job with their bodies.
	Events(ctx context.Context, source, id string) ([]job.Stored, error)
	// Errors returns at most limit errors of a job's rows, from its errors event, or from the
	// platform if there is none or it is asked for.
	Errors(ctx context.Context, source, id string, limit int, platform bool) (api.RowErrors, error)
	// Object returns the object of a job, empty if its events do not name it.
	Object(ctx context.Context, source, id string) (string, error)
}

// Platform asks the platform of a source.
type Platform interface {
	// Status returns its word on a job.
	Status(ctx context.Context, source, id string) (api.Status, error)
	// Result returns the rows of a job as they come, in a media type; the caller closes it.
	Result(ctx context.Context, source, id, object, mediaType string) (io.ReadCloser, error)
	// Objects lists the objects of the source, and Metadata describes one.
	Objects(ctx context.Context, source string) (api.Objects, error)
	Metadata(ctx context.Context, source, object string) (api.Metadata, error)
	// Preflight checks the beginning of a file that is to be uploaded to an object.
	Preflight(ctx context.Context, source, object string, f preflight.File) (preflight.Report, error)
}

// Trail returns the received and refused callbacks.
type Trail interface {
	// Callbacks returns a page of them, and Callback one whole; with same, also which others have
	// its body.
	Callbacks(ctx context.Context, q api.ListCallbacksParams) (api.CallbackPage, error)
	Callback(ctx context.Context, stream string, sequence uint64, same bool) (*api.CallbackDetail, error)
	// Signed returns what came with a callback, to be explained, and records that it is.
	Signed(ctx context.Context, by By, stream string, sequence uint64) (api.ExplainRequest, error)
	// Attempts returns a page of those about a job that made no event.
	Attempts(ctx context.Context, source, id string, p api.ListJobAttemptsParams) (api.JobAttempts, error)
	// Bundle returns the evidence bundle of one record, as it is given to others.
	Bundle(ctx context.Context, stream string, sequence uint64) ([]byte, error)
	// Report returns the report about one record, as html or json.
	Report(ctx context.Context, stream string, sequence uint64, form string) (api.Report, error)
}

// SealedLogs hands out the sealed logs, for monitors.
type SealedLogs interface {
	// Logs describes all logs.
	Logs(ctx context.Context) (api.Logs, error)
	// Verify verifies all logs, or joins the verification that runs. It waits for its end, at most
	// for wait.
	Verify(ctx context.Context, wait time.Duration) (api.Verification, error)
	// Checkpoints returns a page of the checkpoints of the log over a stream.
	Checkpoints(ctx context.Context, stream string, q api.ListCheckpointsParams) (api.CheckpointPage, error)
	// Checkpoint returns the newest signed checkpoint of the log over a stream.
	Checkpoint(ctx context.Context, stream string) ([]byte, error)
	// Tile returns the tile of such a log with a C2SP tlog-tiles name, such as tile/0/x001/067.
	Tile(ctx context.Context, stream, name string) ([]byte, error)
}

// Explainer says why a signature at a source is refused. The second result is false if there is no
// such source.
type Explainer func(ctx context.Context, source string, signatures []string, body []byte) (api.Explanation, bool)

// Register adds the operations to an Echo. Around are further middlewares by operation.
func (s Server) Register(e *echo.Echo, around map[string][]echo.MiddlewareFunc) {
	all := map[string][]echo.MiddlewareFunc{
		"listJobs": {s.patient}, "getJob": {s.patient}, "followEvents": {s.endless},
		"submitJob": {typed(csvType, echo.MIMEMultipartForm, echo.MIMEApplicationJSON), uncoded, heeded, takingFiles}, "preflightFile": {typed(csvType), uncoded, takingFiles},
		"getSubmission": {short}, "cancelJob": {short}, "pollJob": {short}, "releaseJob": {short}, "replayJob": {short}, "replaySink": {short},
		"verifyLogs": {s.patient}, "getReport": {takes(slowTime)}, "listKeys": {takes(slowTime)}, "getStreams": {takes(slowTime)}, "getDoctor": {takes(slowTime), alone()},
	}
	for operation, more := range around {
		all[operation] = append(all[operation], more...)
	}
	RegisterHandlersWithOptions(e, NewStrictHandler(s, nil), RegisterHandlersOptions{OperationMiddlewares: all})
}

// notReached is answered by what needs the store while NATS is not reached.
func notReached() error {
	return api.Unavailable.Problem("the receiver does not reach NATS yet; GET /readyz says why; try again")
}

// longestWait is the most that a client may wait.
const longestWait = time.Minute

// platformTime is how long the platform may take for an answer that is waited for here.
const platformTime = 2 * time.Minute

// slack is how long an answer may take to be made and sent after the wait.
const slack = 30 * time.Second

// waitOf reads the parameter wait.
func waitOf(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > longestWait {
		return 0, api.BadRequest.Problem("wait %q is not a duration of at most %v such as 30s", text, longestWait)
	}
	return d, nil
}

// patient lets the answer to a request with wait come later than the timeouts of the listener, and
// at once when that stops.
func (s Server) patient(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		wait, err := waitOf(c.QueryParam("wait"))
		if err != nil || wait == 0 {
			return next(c)
		}
		later(c.Response(), wait)
		return s.untilStop(next)(c)
	}
}

// untilStop ends the context of a request when the listener stops.
func (s Server) untilStop(next echo.HandlerFunc) echo.HandlerFunc {
	if s.Stopping == nil {
		return next
	}
	return func(c echo.Context) error {
		ctx, cancel := context.WithCancel(c.Request().Context())
		defer cancel()
		defer context.AfterFunc(s.Stopping, cancel)()
		return within(ctx, c, next, "the receiver stops; try again when it runs again")
	}
}

// within has a request answered with another context, and says what it means if that has ended.
func within(ctx context.Context, c echo.Context, next echo.HandlerFunc, ended string) error {
	r := c.Request()
	c.SetRequest(r.WithContext(ctx))
	err := next(c)
	c.SetRequest(r) // whose context says whether the client has gone
	if err != nil && ctx.Err() != nil && r.Context().Err() == nil {
		return api.Unavailable.Problem("%s", ended)
	}
	return err
}

// later moves the deadlines of a connection. A connection whose reading ends would look like a
// client that has gone.
func later(w http.ResponseWriter, by time.Duration) {
	deadlines := http.NewResponseController(w)
	_ = deadlines.SetReadDeadline(time.Time{}) // a writer without deadlines has none to move
	_ = deadlines.SetWriteDeadline(time.Now().Add(by + slack))
}

// stream is an answer that comes from elsewhere and takes its time.
type stream struct {
	from        io.ReadCloser
	contentType string
}

// VisitGetJobResultResponse implements GetJobResultResponseObject. The beginning of a file must not
// look like the whole, so the connection is cut where the rest does not come.
func (s stream) VisitGetJobResultResponse(w http.ResponseWriter) error {
	defer s.from.Close()
	w.Header().Set("Content-Type", s.contentType)
	w.WriteHeader(http.StatusOK)
	part := make([]byte, 64<<10)
	for {
		later(w, 0)
		n, err := s.from.Read(part)
		if n > 0 {
			if _, err := w.Write(part[:n]); err != nil {
				panic(http.ErrAbortHandler)
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			panic(http.ErrAbortHandler)
		}
	}
}
