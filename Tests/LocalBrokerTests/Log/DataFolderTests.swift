import TestSupport
import Testing

@testable import LocalBroker

@Suite struct DataFolderTests {
    private let folder = TemporaryFolder()

    private func fault(_ path: String) -> String? {
        do throws(DataFolderFault) {
            _ = try DataFolder(path, files: SystemFiles())
            return nil
        } catch {
            return error.description
        }
    }

    @Test func makesTheFolderAndThoseAboveIt() throws {
        let path = folder.path + "/a/b/c"
        #expect(fault(path) == nil)
        #expect(try SystemFiles().list(path).sorted() == ["format", "lock"])
        #expect(fault(path) == nil, "again, after the first is gone")
    }

    @Test func refusesASecondBroker() throws {
        let path = folder.path + "/data"
        let first = try DataFolder(path, files: SystemFiles())
        #expect(fault(path)?.contains("\(path) is in use by another broker") ?? false)
        withExtendedLifetime(first) {}
    }

    @Test func refusesForeignFolders() throws {
        try SystemFile(folder.path + "/thesis.tex", .new).write([1], at: 0)
        #expect(fault(folder.path)?.contains("not a broker's") ?? false)
    }

    @Test func acceptsWhatAMountBrings() throws {
        try SystemFiles().makeDirectory(folder.path + "/lost+found")
        #expect(fault(folder.path) == nil)
    }

    @Test func refusesAnotherFormat() throws {
        #expect(fault(folder.path) == nil)
        try SystemFile(folder.path + "/format", .replaced).write(Array("flotilla-broker 2\n".utf8), at: 0)
        #expect(fault(folder.path)?.contains("has format \"flotilla-broker 2\"") ?? false)
    }

    @Test func survivesAPowerCutWithAllThatIsInIt() throws {
        let files = try ForgetfulFiles(root: folder.path)
        _ = try DataFolder(folder.path + "/a/b", files: files)
        let after = TemporaryFolder()
        var none: TestDice?
        try files.powerCut(into: after.path + "/disk", dice: &none)
        #expect(try SystemFiles().list(after.path + "/disk/a/b").contains("format"))
    }

    @Test func saysWhatCannotBeMade() {
        #expect(fault("/proc/nowhere")?.contains("mkdir /proc/nowhere") ?? false)
    }
}
