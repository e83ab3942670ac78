/// Lets one task at a time do its work, in the order in which they came. An actor alone would let a second image begin
/// while the first waits for its model. For one actor's use.
final class Turns {
    private var isTaken = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// Wait for all that came before; ``end()`` must follow.
    func begin(isolation: isolated (any Actor)? = #isolation) async {
        if isTaken {
            await withCheckedContinuation { waiting.append($0) }
        }
        isTaken = true
    }

    /// Let the next one begin; its turn begins before anybody else can see that this one ended.
    func end() {
        if waiting.isEmpty { isTaken = false } else { waiting.removeFirst().resume() }
    }
}
