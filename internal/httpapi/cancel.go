package httpapi

import (
	"errors"
	"net/http"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/supervisor"
)

// cancel answers at once, unless the client prefers to wait: the prediction's own channels tell the
// end. A second cancel of the same prediction succeeds like the first. For any other id that is not
// running, the body is an empty object, as in Cog.
func (a *API) cancel(only prediction.Method) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		p, err := find(r, only, a.Supervisor.Get)
		if err == nil {
			err = a.Supervisor.Cancel(p, supervisor.ByClient)
		}
		var refused *prediction.Error
		if errors.As(err, &refused) && refused.Code == prediction.NotFound {
			writeRaw(w, http.StatusNotFound, []byte("{}"))
			return nil
		}
		if err == nil {
			if limit := preferred(r.Header).wait; limit > 0 {
				a.waitDone(r, p, limit)
			}
			writeRaw(w, http.StatusOK, []byte("{}"))
		}
		return err
	}
}
