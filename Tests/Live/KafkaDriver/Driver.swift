@main enum Driver { static func main() {} }
