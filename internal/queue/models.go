package queue

import (
	"cmp"
	"slices"
	"strings"

	"github.com/coggo/coggo/internal/schema"
)

// Model returns the model that a name and a version choose; both may be empty. A name is
// OWNER/NAME[:VERSION]; a version is an id, or a name. Without a version it is the queue of the
// name alone if there is one, else the newest version that workers serve. The error is a
// *prediction.Error with code NotFound or NotReady.
func (q *Queue) Model(name, version string) (schema.Model, error) {
	m, err := q.choose(name, version)
	if err != nil {
		return schema.Model{}, err
	}
	return m.Model, nil
}

// Models returns all models, by name.
func (q *Queue) Models() []schema.Model {
	var all []schema.Model
	for _, m := range q.directory.all() {
		all = append(all, m.Model)
	}
	return all
}

func (q *Queue) choose(name, version string) (*model, error) {
	if name != "" && version == "" {
		if m := q.directory.model(name); m != nil {
			return m, nil
		}
	}
	all := q.directory.all()
	switch {
	case len(all) == 1 && name == "" && version == "":
		return all[0], nil
	case !q.opened():
		return nil, errUnreachable()
	case len(all) == 0 && name == "":
		return nil, errNoModel()
	case len(all) == 0:
		return nil, errNeverServed(name)
	}
	return q.chooseFrom(all, name, version)
}

// chooseFrom returns the model that a name and a version mean; version may be a whole name.
func (q *Queue) chooseFrom(all []*model, name, version string) (*model, error) {
	if strings.Contains(version, "/") {
		if name != "" && !within(version, name) {
			return nil, errOtherModel(name, version)
		}
		name, version = version, ""
	}
	base, own := schema.SplitName(name)
	if own != "" && version != "" && own != version {
		return nil, errOtherModel(name, version)
	}
	found := among(all, base)
	if len(found) == 0 {
		if name == q.config.Name {
			return nil, errNeverServed(name)
		}
		return nil, errUnknownModel(name, namesOf(all))
	}
	return q.versionOf(found, cmp.Or(own, version))
}

// within reports whether one name means the same model as another one, or a version of it.
func within(one, other string) bool { return one == other || strings.HasPrefix(one, other+":") }

// among returns the models with this name, in all their versions; all without a name.
func among(all []*model, name string) (found []*model) {
	for _, m := range all {
		if name == "" || within(m.Name, name) {
			found = append(found, m)
		}
	}
	return found
}

func namesOf(models []*model) (names []string) {
	for _, m := range models {
		names = append(names, m.Name)
	}
	return names
}

// versionOf chooses among models, of which there is one at least. Without a version they must be
// versions of one model.
func (q *Queue) versionOf(found []*model, version string) (*model, error) {
	base := found[0].Base()
	same := !slices.ContainsFunc(found, func(m *model) bool { return m.Base() != base })
	if version == "" && !same {
		return nil, errSeveralModels(namesOf(found))
	}
	if version == "" {
		return q.newest(found), nil
	}
	var fit []*model
	for _, m := range found {
		if m.Version() == version {
			fit = append(fit, m)
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(fit) > 1:
		return nil, errSeveralVersions(version, namesOf(fit))
	}
	return nil, errUnknownVersion(version, namesOf(found))
}

// newest returns the version that a request without one gets: the model without a version if there
// is one, else, of those that workers serve, the one whose first worker came last.
func (q *Queue) newest(versions []*model) *model {
	for _, m := range versions {
		if m.Name == m.Base() {
			return m
		}
	}
	served := slices.DeleteFunc(slices.Clone(versions), func(m *model) bool {
		return !slices.ContainsFunc(q.directory.present(m.Name), func(w workerEntry) bool { return !w.Draining })
	})
	if len(served) == 0 {
		served = versions
	}
	return slices.MaxFunc(served, func(a, b *model) int {
		return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Name, b.Name))
	})
}
