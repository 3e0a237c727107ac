package prediction

import "encoding/json"

// Metric is one metric that the model recorded.
type Metric struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"` // null deletes it
	Mode  string          `json:"mode"`  // replace, increment or append

	Key   string          `json:"-"` // the top-level name in the metrics object
	Total json.RawMessage `json:"-"` // its value after this recording; nil if it was deleted
}

type metric struct {
	key   string
	value json.RawMessage
}

func setMetric(list []metric, key string, value json.RawMessage) []metric {
	for i := range list {
		if list[i].key == key {
			if value == nil {
				return append(list[:i], list[i+1:]...)
			}
			list[i].value = value
			return list
		}
	}
	if value == nil {
		return list
	}
	return append(list, metric{key, value})
}

func joinMetrics(list []metric) json.RawMessage {
	out := []byte{'{'}
	for i, m := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(AppendString(out, m.key), ':')
		out = append(out, m.value...)
	}
	return append(out, '}')
}
