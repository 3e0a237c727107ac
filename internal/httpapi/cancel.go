package httpapi

import (
	"errors"
	"net/http"

	"github.com/coggo/coggo/internal/prediction"
	"github.com/coggo/coggo/internal/supervisor"
)

// cancel answers at once; the end comes by the prediction's own channels. An id that does not run gets an empty
// object, as on Cog.
func (a *API) cancel(w http.ResponseWriter, r *http.Request) error {
	err := a.Supervisor.Cancel(r.PathValue("id"), supervisor.ByClient)
	var refused *prediction.Error
	if errors.As(err, &refused) && refused.Code == prediction.NotFound {
		writeRaw(w, http.StatusNotFound, []byte("{}"))
		return nil
	}
	if err == nil {
		writeRaw(w, http.StatusOK, []byte("{}"))
	}
	return err
}
