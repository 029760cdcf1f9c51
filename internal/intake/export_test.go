package intake

// SelectWaiting is the statement whose plan a test looks at.
const SelectWaiting = selectWaiting
