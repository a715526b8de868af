package population

import "github.com/claviger-dev/claviger/test/bench/load"

// Where the parts of a record are: what a request about one key has that others do not.
const (
	AtKey       = 0
	AtWorkspace = AtKey + KeyLength
	AtResource  = AtWorkspace + len("tenant-000/shop")
	recordSize  = AtResource + len("property/0000000")
)

// Records are what requests with these keys differ in, each as if it were of the key of its
// number.
func (k Keys) Records() load.Records {
	records := make([]byte, 0, k.Count()*recordSize)
	for number := range k.Count() {
		records = append(records, k[number*KeyLength:(number+1)*KeyLength]...)
		records = append(records, WorkspaceID(number)...)
		records = append(records, Resource(number)...)
	}
	return load.Records{Data: records, Length: recordSize}
}
